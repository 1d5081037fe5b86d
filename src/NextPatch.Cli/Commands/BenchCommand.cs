using System.CommandLine;
using NextPatch.Cli.Benchmarking;
using NextPatch.Cli.Benchmarking.Decoding;
using NextPatch.Cli.CommandLine;
using NextPatch.Cli.Diagnostics;
using NextPatch.Cli.Rendering;
using NextPatch.Cli.Training;
using NextPatch.Core;
using NextPatch.Core.Configuration;
using NextPatch.Core.Patches;
using NextPatch.Torch.Devices;
using NextPatch.Torch.Loading;
using NextPatch.Torch.Patches;
using NextPatch.Training.Gpt;
using TorchSharp;

namespace NextPatch.Cli.Commands;

/// <summary><c>nextpatch bench</c>: what training steps and drawing cost on this machine, and how near that is to what it could.</summary>
internal static class BenchCommand
{
    private const int ImagesAtSideOne = 4;

    public static Command Create() => new("bench", "Measures what this machine can do.") { CreateTrain(), CreateDecode() };

    private static Command CreateTrain()
    {
        var preset = new Option<string>("--preset")
        {
            Description = $"Shape of the transformer: {string.Join(", ", GptPresets.Names)}.", HelpName = "name", DefaultValueFactory = _ => "B",
        };
        var grid = new Option<int>("--grid") { Description = "Codes per row and column of an image.", HelpName = "n", DefaultValueFactory = _ => 16 };
        var vocabulary = new Option<int>("--vocabulary") { Description = "Size of the codebook.", HelpName = "n", DefaultValueFactory = _ => 16384 };
        var sides = new Option<string>("--patch-sides")
        {
            Description = "Patch sides to measure, the finest first.", HelpName = "list", DefaultValueFactory = _ => "1,2,4",
        };
        var images = new Option<string?>("--images")
        {
            Description = "Images per micro-batch, one number per patch side. [default: 4 p*p, as many tokens for each]", HelpName = "list",
        };
        var rounds = new Option<int>("--rounds")
        {
            Description = "Repetitions; medians and minima are over them.", HelpName = "n", DefaultValueFactory = _ => 5,
        }.AtLeast(1);
        var precision = PrecisionChoice.CreateOption();
        var recompute = new Option<bool>("--recompute") { Description = "Compute activations again in the backward pass instead of keeping them." };
        var noBaseline = new Option<bool>("--no-baseline") { Description = "Leave out the step written the published way: half the time." };
        var captionTokens = new Option<int?>("--caption-tokens")
        {
            Description = "Instead of all else, time a model of captions, each of so many tokens, beside the same with all 120 rows of features and "
                + "with a key of attention for each row.", HelpName = "n",
        }.Between<Option<int?>, int>(1, 120);
        var device = DeviceOption.Create("On others than the processor the reference step is timed alone.");
        var step = StepChoice.CreateOption();
        var json = new Option<bool>("--json") { Description = "Write the figures as JSON: name, value, unit, baseline, ratio, floorShare." };
        var command = new Command(
            "train",
            """
            Times training steps: forward, backward and optimiser per image at each patch side, the bare matrix products of the same
            shapes, and the same step written the published way (logits repeated p*p times, a library's AdamW), in turn in every round.

            Examples:
              nextpatch bench train
              nextpatch bench train --preset L --images 2,8,32 --no-baseline
              nextpatch bench train --json > bench.json
              nextpatch bench train --patch-sides 1,2 --caption-tokens 20
              nextpatch bench train --device cuda --preset L --images 64,256
            """)
        { preset, grid, vocabulary, sides, images, precision, recompute, rounds, noBaseline, captionTokens, device, step, json };
        command.SetAction((parsed, cancellation) =>
        {
            NativeBackend.EnsureLoaded();
            var terminal = Terminal.From(parsed);
            var shape = GptPresets.Get(parsed.GetRequiredValue(preset));
            var model = (shape with { GridSide = parsed.GetRequiredValue(grid), VocabularySize = parsed.GetRequiredValue(vocabulary) }).Validated();
            var (place, asked) = (DeviceOption.Of(parsed, device), parsed.GetRequiredValue(precision));
            var (chosen, reason) = TorchDevices.IsCpu(place) ? PrecisionChoice.Choose(asked, model) : DeviceOption.Precision(asked, place);
            var implementation = StepChoice.Choose(parsed.GetRequiredValue(step), PatchGroupings.Mean, place, null, terminal.Log.WriteLine);
            RunChecks.RequireStep(new TrainingConfig { StepImplementation = implementation, Precision = chosen }, place);
            var plan = new TrainBenchPlan(
                model, new TrainingConfig { Precision = chosen, StepImplementation = implementation },
                MicroBatches(model, parsed.GetRequiredValue(sides), parsed.GetValue(images)),
                parsed.GetValue(recompute), parsed.GetRequiredValue(rounds), !parsed.GetValue(noBaseline));
            terminal.Log.WriteLine(reason);
            terminal.Log.WriteLine($"{Processor.Detect().Describe()}; {torch.get_num_threads()} threads; {model.ParameterCount:N0} parameters.");
            BenchFigure.Write(terminal, parsed.GetValue(json),
                !TorchDevices.IsCpu(place) ? new DeviceBench(plan, place, terminal.Log.WriteLine).Run(cancellation)
                : parsed.GetValue(captionTokens) is { } tokens ? new CaptionBench(plan, tokens, terminal.Log.WriteLine).Run(cancellation)
                : new TrainBench(plan, terminal.Log.WriteLine).Run(cancellation));
            return Task.FromResult(ExitCode.Success);
        });
        return command;
    }

    private static Command CreateDecode()
    {
        var preset = new Option<string>("--preset")
        {
            Description = $"Shape of the transformer: {string.Join(", ", GptPresets.Names)}.", HelpName = "name", DefaultValueFactory = _ => "B",
        };
        var images = new Option<string>("--images")
        {
            Description = "Images side by side.", HelpName = "list", DefaultValueFactory = _ => "1,8,16,64",
        };
        var codes = new Option<int>("--codes")
        {
            Description = "Positions measured, spread over an image.", HelpName = "n", DefaultValueFactory = _ => 8,
        }.AtLeast(1);
        var rounds = new Option<int>("--rounds")
        {
            Description = "Repetitions; of each figure the fastest counts.", HelpName = "n", DefaultValueFactory = _ => 3,
        }.AtLeast(1);
        var promptTokens = new Option<int?>("--prompt-tokens")
        {
            Description = "Instead of all else, time a model of captions at 512x512, a prompt of so many tokens, beside the same with every row of "
                + "the prompt in the cache.", HelpName = "n",
        }.Between<Option<int?>, int>(1, 120);
        string[] names = [.. DecodeBenchPlan.AllStorages.Select(s => s.Name)];
        var precision = new Option<string?>("--precision")
        {
            Description = "Time codes with weights kept in this alone. [default: all three]", HelpName = string.Join('|', names),
        }.AcceptOnlyFromAmong(names);
        var noBaseline = new Option<bool>("--no-baseline") { Description = "Leave out the TorchSharp engine: most of the time." };
        var json = new Option<bool>("--json") { Description = "Write the figures as JSON: name, value, unit, baseline, ratio, floorShare." };
        var command = new Command(
            "decode",
            """
            Times drawing: a code of images side by side, guided, in fp32, bf16 and int8, beside the time to read the weights; the
            tokenizer VQ-16 at 256x256 both ways, beside the multiply-adds that its convolutions have as they are written (a share above
            100 % is what Winograd's transforms save); a whole image, warm and from a cold start.

            Examples:
              nextpatch bench decode
              nextpatch bench decode --images 1 --no-baseline --json > bench.json
              nextpatch bench decode --preset XL --images 1 --prompt-tokens 25 --precision int8
            """)
        { preset, images, precision, codes, rounds, promptTokens, noBaseline, json };
        command.SetAction((parsed, cancellation) =>
        {
            var terminal = Terminal.From(parsed);
            var plan = new DecodeBenchPlan(
                parsed.GetRequiredValue(preset), Numbers("--images", parsed.GetRequiredValue(images)), parsed.GetValue(codes),
                parsed.GetValue(rounds), !parsed.GetValue(noBaseline), parsed.GetValue(precision));
            terminal.Log.WriteLine($"{Processor.Detect().Describe()}; {Environment.ProcessorCount} threads.");
            BenchFigure.Write(terminal, parsed.GetValue(json), parsed.GetValue(promptTokens) is { } tokens
                ? new PromptBench(plan, tokens, terminal.Log.WriteLine).Run(cancellation)
                : new DecodeBench(plan, terminal.Log.WriteLine).Run(cancellation));
            return Task.FromResult(ExitCode.Success);
        });
        return command;
    }

    private static List<(int Side, int Images)> MicroBatches(GptConfig model, string sides, string? images)
    {
        var chosen = Numbers("--patch-sides", sides);
        var counts = images is null ? [.. chosen.Select(s => ImagesAtSideOne * s * s)] : Numbers("--images", images);
        if (counts.Count != chosen.Count)
        {
            throw new ConfigException($"--images has {counts.Count} numbers for {chosen.Count} patch sides ({sides}); give one for each.");
        }

        chosen.ForEach(side => _ = new PatchGeometry(model.GridSide, side));
        return [.. chosen.Zip(counts)];
    }

    private static List<int> Numbers(string option, string list)
        => [.. list.Split(',', StringSplitOptions.TrimEntries).Select(part => StrictNumber.TryParse(part, out int n) && n is > 0 and <= 1 << 16
            ? n
            : throw new ConfigException($"{option} '{list}' is not a list of whole numbers; write it like 1,2,4."))];
}
