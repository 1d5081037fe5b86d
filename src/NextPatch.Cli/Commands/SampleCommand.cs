using System.CommandLine;
using System.Globalization;
using NextPatch.Cli.Rendering;
using NextPatch.Cli.Sampling;
using NextPatch.Core.Configuration;
using NextPatch.Core.Generation;

namespace NextPatch.Cli.Commands;

/// <summary><c>nextpatch sample</c>: images from a trained model.</summary>
internal static class SampleCommand
{
    private const int DefaultCount = 16;

    public static Command Create()
    {
        var rules = new SamplingOptions();
        var model = new Option<string>("--model") { Description = "A run folder (its newest checkpoint) or a checkpoint folder.", HelpName = "dir", Required = true };
        var tokenizer = new Option<string?>("--tokenizer") { Description = "Tokenizer folder. [default: tokenizer/ in or beside the run; without one, codes are written instead of images]", HelpName = "dir" };
        var classes = new Option<string[]>("--class")
        {
            Description = "A class by name or number; may be repeated, images take them in turn. 'all' = every class.", HelpName = "class",
            DefaultValueFactory = _ => ["all"],
        };
        var count = new Option<int>("--count") { Description = "Number of images.", HelpName = "n", DefaultValueFactory = _ => DefaultCount };
        var seed = new Option<ulong>("--seed") { Description = "Seed. Image k depends on seed, k, class and rules only, not on --count.", HelpName = "n", DefaultValueFactory = _ => 0 };
        var weights = new Option<string?>("--weights") { Description = "Which weights: ema (their average over training) or model. [default: ema where there is one]", HelpName = "ema|model" };
        weights.AcceptOnlyFromAmong("ema", "model");
        var output = new Option<string>("--output") { Description = "Folder for 000000.png .., grid.png, samples.npz and samples.json.", HelpName = "dir", DefaultValueFactory = _ => "samples" };
        var command = new Command(
            "sample",
            """
            Draws images from a trained model: numbered PNG files that remember seed, class, settings and model; a labelled
            grid.png; samples.npz (arr_0, uint8 [N, H, W, 3]) as the published evaluator reads it; samples.json with the labels.

            Examples:
              nextpatch sample --model quickstart/model --count 64
              nextpatch sample --model quickstart/model --class star --class heart --count 20 --seed 7 --output hearts
              nextpatch sample --model run --class 207 --cfg-scale 4 --cfg-shape power --cfg-power 2 --top-k 2000
            """) { model, tokenizer, classes, count, seed, weights, output };
        rules.AddTo(command);
        command.SetAction((parsed, cancellation) =>
        {
            var terminal = Terminal.Of(parsed);
            using var loaded = SampleModel.Load(parsed.GetRequiredValue(model), parsed.GetValue(tokenizer), parsed.GetValue(weights));
            var request = new GenerationRequest
            {
                Labels = Labels(parsed.GetRequiredValue(classes), parsed.GetValue(count), loaded.Config),
                Seed = parsed.GetValue(seed),
                Sampling = rules.Resolve(parsed, loaded.Config.Model),
            };
            var folder = parsed.GetRequiredValue(output);
            terminal.Log.WriteLine($"{loaded.Engine.Name}, {(loaded.WeightsKind == "ema" ? "averaged weights (ema)" : "raw weights (model)")}, model {loaded.Hash[..12]}");
            using (var progress = terminal.CreateProgress())
            {
                new SampleWriter(loaded).Write(folder, imageFolder: null, request, progress, cancellation);
            }

            terminal.Data.WriteLine(Path.Combine(folder, loaded.Tokenizer is null ? "codes.npz" : "grid.png"));
            if (loaded.Tokenizer is null)
            {
                terminal.Log.WriteLine("No tokenizer was found, so codes were written instead of images; name one with --tokenizer.");
            }

            return Task.FromResult(ExitCode.Success);
        });
        return command;
    }

    /// <summary>One label per image: the classes asked for, in turn.</summary>
    internal static int[] Labels(IReadOnlyList<string> classes, int count, CheckpointConfig config)
    {
        if (count < 1)
        {
            throw new ConfigException($"--count {count} must be at least 1.");
        }

        var chosen = classes.SelectMany(name => name == "all" ? Enumerable.Range(0, config.Model.ClassCount) : [Label(name, config)]).ToArray();
        return [.. Enumerable.Range(0, count).Select(i => chosen[i % chosen.Length])];
    }

    private static int Label(string name, CheckpointConfig config)
    {
        // Names first: digits are classes whose names are numbers.
        for (var label = 0; label < config.ClassNames.Count; label++)
        {
            if (string.Equals(config.ClassNames[label], name, StringComparison.OrdinalIgnoreCase))
            {
                return label;
            }
        }

        if (int.TryParse(name, CultureInfo.InvariantCulture, out var number) && number >= 0 && number < config.Model.ClassCount)
        {
            return number;
        }

        var known = config.ClassNames.Count > 0 ? $" or {string.Join(", ", config.ClassNames.Take(50))}{(config.ClassNames.Count > 50 ? ", …" : "")}" : "";
        throw new ConfigException($"The model has no class '{name}'. Classes: 0 to {config.Model.ClassCount - 1}{known}.");
    }
}
