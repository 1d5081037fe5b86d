using System.CommandLine;
using NextPatch.Cli.Benchmarking;
using NextPatch.Cli.CommandLine;
using NextPatch.Cli.Diagnostics;
using NextPatch.Cli.Rendering;
using NextPatch.Cli.Tokenizers;
using NextPatch.Cli.Training;
using NextPatch.Core;
using NextPatch.Core.Configuration;
using NextPatch.Core.Patches;
using NextPatch.Evaluation.Networks;
using NextPatch.Torch.Loading;
using NextPatch.Torch.Tokenizer;
using Spectre.Console;
using TorchSharp;

namespace NextPatch.Cli.Commands;

/// <summary><c>nextpatch bench</c>: what a training step, the extraction of codes or the metrics cost on this machine, and how near that is to what it could.</summary>
internal static class BenchCommand
{
    private const int ImagesAtSideOne = 4;

    public static Command Create()
    {
        var command = new Command("bench", "Measures what this machine can do.") { CreateTrain(), CreateEncode(), CreateEvaluate() };
        return command;
    }

    private static Command CreateTrain()
    {
        var preset = new Option<string>("--preset") { Description = $"Shape of the transformer: {string.Join(", ", GptPresets.Names)}.", HelpName = "name", DefaultValueFactory = _ => "B" };
        var grid = new Option<int>("--grid") { Description = "Codes per row and column of an image.", HelpName = "n", DefaultValueFactory = _ => 16 };
        var vocabulary = new Option<int>("--vocabulary") { Description = "Size of the codebook.", HelpName = "n", DefaultValueFactory = _ => 16384 };
        var sides = new Option<string>("--patch-sides") { Description = "Patch sides to measure, the finest first.", HelpName = "list", DefaultValueFactory = _ => "1,2,4" };
        var images = new Option<string?>("--images") { Description = "Images per micro-batch, one number per patch side. [default: 4 p*p, as many tokens for each]", HelpName = "list" };
        var rounds = new Option<int>("--rounds") { Description = "Repetitions; medians and minima are over them.", HelpName = "n", DefaultValueFactory = _ => 5 };
        var precision = PrecisionChoice.CreateOption();
        var recompute = new Option<bool>("--recompute") { Description = "Compute activations again in the backward pass instead of keeping them." };
        var noBaseline = new Option<bool>("--no-baseline") { Description = "Leave out the step written the published way: half the time." };
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
            """)
        { preset, grid, vocabulary, sides, images, precision, recompute, rounds, noBaseline, json };
        command.SetAction((parsed, cancellation) =>
        {
            NativeBackend.EnsureLoaded();
            var terminal = Terminal.From(parsed);
            var model = (GptPresets.Get(parsed.GetRequiredValue(preset)) with { GridSide = parsed.GetRequiredValue(grid), VocabularySize = parsed.GetRequiredValue(vocabulary) }).Validated();
            var (chosen, reason) = PrecisionChoice.Choose(parsed.GetRequiredValue(precision), model);
            var plan = new TrainBenchPlan(model, new TrainingConfig { Precision = chosen }, MicroBatches(model, parsed.GetRequiredValue(sides), parsed.GetValue(images)), parsed.GetValue(recompute),
                AtLeastOne("--rounds", parsed.GetRequiredValue(rounds)), !parsed.GetValue(noBaseline));
            terminal.Log.WriteLine(reason);
            terminal.Log.WriteLine($"{Processor.Detect().Describe()}; {torch.get_num_threads()} threads; {model.ParameterCount:N0} parameters.");
            return Finish(terminal, parsed.GetValue(json), new TrainBench(plan, terminal.Log.WriteLine).Run(cancellation));
        });
        return command;
    }

    private static Command CreateEncode()
    {
        var tokenizer = new Option<string?>("--tokenizer") { Description = "Tokenizer folder or weights file. [default: VQ-16 with random weights, which take as long]", HelpName = "path" };
        var size = new Option<int>("--image-size") { Description = "Side in pixels of what is encoded, where the tokenizer leaves it open.", HelpName = "px", DefaultValueFactory = _ => 256 };
        var images = new Option<int>("--images") { Description = "Images per round; ten crops are encoded of each.", HelpName = "n", DefaultValueFactory = _ => 2 };
        var rounds = new Option<int>("--rounds") { Description = "Repetitions; medians and minima are over them.", HelpName = "n", DefaultValueFactory = _ => 3 };
        var batch = new Option<int?>("--batch-size") { Description = "Squares per call of the network. [default: what suits the tokenizer]", HelpName = "n" }.AtLeast(1);
        var precision = TokenizerPrecision.CreateOption("Arithmetic of the encoder; auto is fp32. The published way stays fp32.");
        var json = new Option<bool>("--json") { Description = "Write the figures as JSON: name, value, unit, baseline, ratio, floorShare." };
        var command = new Command(
            "encode",
            """
            Times the way from JPEG files of 500x375 to codes: decoding, ten crops, the tokenizer's encoder beside its bare convolutions, and all
            together beside the published way (one image after the other, its ten crops as a batch, fp32), in turn in every round.

            Examples:
              nextpatch bench encode
              nextpatch bench encode --precision bf16 --json
              nextpatch bench encode --tokenizer vq_ds16_c2i.pt --images 4
            """)
        { tokenizer, size, images, rounds, batch, precision, json };
        command.SetAction((parsed, cancellation) =>
        {
            NativeBackend.EnsureLoaded();
            var terminal = Terminal.From(parsed);
            var (path, side) = (parsed.GetValue(tokenizer), AtLeastOne("--image-size", parsed.GetRequiredValue(size)));
            terminal.Log.WriteLine($"{Processor.Detect().Describe()}; {torch.get_num_threads()} threads.");
            return Finish(terminal, parsed.GetValue(json), new EncodeBench(
                new EncodeBenchPlan(() => CreateTokenizer(path, side), AtLeastOne("--images", parsed.GetRequiredValue(images)), AtLeastOne("--rounds", parsed.GetRequiredValue(rounds)), parsed.GetValue(batch), TokenizerPrecision.Of(parsed, precision) == ComputePrecision.Bf16),
                terminal.Log.WriteLine).Run(cancellation));
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

    private static Command CreateEvaluate()
    {
        var images = new Option<int>("--images") { Description = "Images of the reference, and of the samples for all but precision and recall.", HelpName = "n", DefaultValueFactory = _ => 50_000 };
        var samples = new Option<int>("--samples") { Description = "Samples whose precision and recall are measured against the reference.", HelpName = "n", DefaultValueFactory = _ => 10_000 };
        var width = new Option<int>("--features") { Description = "Features per image.", HelpName = "n", DefaultValueFactory = _ => 2048 };
        var weights = new Option<string?>("--weights") { Description = "Also extract features by the network in this file.", HelpName = "file" };
        var side = new Option<int>("--image-side") { Description = "Side of the images whose features are extracted.", HelpName = "pixels", DefaultValueFactory = _ => 256 };
        var json = new Option<bool>("--json") { Description = "Write the figures as JSON: name, value, unit, baseline, ratio, floorShare." };
        var command = new Command(
            "evaluate",
            """
            Times the metrics on drawn features: FID, Inception Score, KID of 100 subsets of 1,000, precision and recall; and how near that is to
            the bare matrix products. bench/evaluate_numpy.py does the same in NumPy and SciPy.
            With --weights, images per second of that network beside its convolutions alone (bench/inception_torch.py: the same network in PyTorch).

            Examples:
              nextpatch bench evaluate
              nextpatch bench evaluate --weights pt_inception-2015-12-05-6726825d.pth
              nextpatch bench evaluate --images 10000 --samples 2000 --json > bench.json
            """)
        { images, samples, width, weights, side, json };
        command.SetAction((parsed, cancellation) =>
        {
            NativeBackend.EnsureLoaded();
            var terminal = Terminal.From(parsed);
            var (count, few) = (parsed.GetRequiredValue(images), parsed.GetRequiredValue(samples));
            if (count < 4 || few < 4 || few > count)
            {
                throw new ConfigException($"--images {count} and --samples {few} must be at least 4, and no more samples than images.");
            }

            var plan = new EvaluateBenchPlan(count, few, AtLeastOne("--features", parsed.GetRequiredValue(width)), SubsetSize: Math.Min(1000, count));
            terminal.Log.WriteLine($"{Processor.Detect().Describe()}; {torch.get_num_threads()} threads.");
            var figures = new List<BenchFigure>();
            if (parsed.GetValue(weights) is { } path)
            {
                using var network = FeatureNetworks.Open(null, path);
                terminal.Log.WriteLine($"features of {network.Name}");
                figures.AddRange(FeatureBench.Run(network, images: 16, AtLeastOne("--image-side", parsed.GetRequiredValue(side)), rounds: 8, cancellation));
            }

            figures.AddRange(new EvaluateBench(plan, terminal.Log.WriteLine).Run(cancellation));
            return Finish(terminal, parsed.GetValue(json), figures);
        });
        return command;
    }

    private static Task<int> Finish(Terminal terminal, bool asJson, IReadOnlyList<BenchFigure> figures)
    {
        if (asJson)
        {
            terminal.WriteJson(figures);
        }
        else
        {
            Show(terminal.Output, figures);
        }

        return Task.FromResult(ExitCode.Success);
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
        => [.. list.Split(',', StringSplitOptions.TrimEntries).Select(part => int.TryParse(part, out var n) && n > 0
            ? n
            : throw new ConfigException($"{option} '{list}' is not a list of whole numbers; write it like 1,2,4."))];

    private static int AtLeastOne(string option, int value) => value >= 1 ? value : throw new ConfigException($"{option} {value} must be at least 1.");

    private static void Show(IAnsiConsole console, IReadOnlyList<BenchFigure> figures)
    {
        var table = new Table().Border(TableBorder.Rounded);
        table.AddColumn("figure");
        foreach (var heading in (string[])["value", "unit", "baseline", "ratio", "share of the floor"])
        {
            table.AddColumn(new TableColumn(heading).RightAligned());
        }

        foreach (var f in figures)
        {
            table.AddRow(f.Name, Number(f.Value), f.Unit, Number(f.Baseline), Number(f.Ratio), f.FloorShare is { } share ? $"{share:P0}" : "");
        }

        console.Write(table);
    }

    private static string Number(double? value) => value switch
    {
        null => "",
        >= 1000 => Quantity.Decimal(value.Value),
        > -0.1 and < 0.1 => $"{value:G3}", // a small model's step takes microseconds
        _ => $"{value:0.####}",
    };
}
