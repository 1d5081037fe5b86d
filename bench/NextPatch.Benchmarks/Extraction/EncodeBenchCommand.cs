using System.CommandLine;
using NextPatch.Cli.Benchmarking;
using NextPatch.Cli.CommandLine;
using NextPatch.Cli.Diagnostics;
using NextPatch.Cli.Rendering;
using NextPatch.Cli.Tokenizers;
using NextPatch.Core.Configuration;
using NextPatch.Torch.Loading;
using NextPatch.Torch.Tokenizer;
using TorchSharp;

namespace NextPatch.Benchmarks.Extraction;

/// <summary><c>encode</c>: what the extraction of codes costs on this machine, and how near that is to what it could.</summary>
internal static class EncodeBenchCommand
{
    public static Command Create()
    {
        var tokenizer = new Option<string?>("--tokenizer")
        {
            Description = "Tokenizer folder or weights file. [default: VQ-16 with random weights, which take as long]", HelpName = "path",
        };
        var size = new Option<int>("--image-size")
        {
            Description = "Side in pixels of what is encoded, where the tokenizer leaves it open.", HelpName = "px", DefaultValueFactory = _ => 256,
        }.AtLeast(1);
        var images = new Option<int>("--images")
        {
            Description = "Images per round; ten crops are encoded of each.", HelpName = "n", DefaultValueFactory = _ => 2,
        }.AtLeast(1);
        var rounds = new Option<int>("--rounds")
        {
            Description = "Repetitions; medians and minima are over them.", HelpName = "n", DefaultValueFactory = _ => 3,
        }.AtLeast(1);
        var batch = new Option<int?>("--batch-size")
        {
            Description = "Squares per call of the network. [default: what suits the tokenizer]", HelpName = "n",
        }.AtLeast(1);
        var precision = TokenizerPrecision.CreateOption("Arithmetic of the encoder; auto is fp32. The published way stays fp32.");
        var json = new Option<bool>("--json") { Description = "Write the figures as JSON: name, value, unit, baseline, ratio, floorShare." };
        var command = new Command(
            "encode",
            """
            Times the way from JPEG files of 500x375 to codes: decoding, ten crops, the tokenizer's encoder beside its bare convolutions, and all
            together beside the published way (one image after the other, its ten crops as a batch, fp32), in turn in every round.

            Examples:
              encode --precision bf16 --json
              encode --tokenizer vq_ds16_c2i.pt --images 4
            """)
        { tokenizer, size, images, rounds, batch, precision, json };
        command.SetAction((parsed, cancellation) =>
        {
            NativeBackend.EnsureLoaded();
            var terminal = Terminal.From(parsed);
            var (path, side) = (parsed.GetValue(tokenizer), parsed.GetRequiredValue(size));
            var isBf16 = TokenizerPrecision.From(parsed, precision) == ComputePrecision.Bf16;
            var plan = new EncodeBenchPlan(
                () => CreateTokenizer(path, side), parsed.GetRequiredValue(images), parsed.GetRequiredValue(rounds), parsed.GetValue(batch), isBf16);
            terminal.Log.WriteLine($"{Processor.Detect().Describe()}; {torch.get_num_threads()} threads.");
            BenchFigure.Write(terminal, parsed.GetValue(json), new EncodeBench(plan, terminal.Log.WriteLine).Run(cancellation));
            return Task.FromResult(ExitCode.Success);
        });
        return command;
    }

    private static VqTokenizer CreateTokenizer(string? path, int side)
    {
        if (path is null)
        {
            return new VqTokenizer(TokenizerPresets.Get("VQ-16") with { ImageSide = side }, seed: 1);
        }

        var tokenizer = VqTokenizer.Load(path);
        if (tokenizer.Config.Architecture == TokenizerArchitecture.Small || tokenizer.Config.ImageSide == side)
        {
            return tokenizer;
        }

        using (tokenizer)
        {
            return VqTokenizer.Load(path, side / tokenizer.Config.DownsamplingFactor);
        }
    }
}
