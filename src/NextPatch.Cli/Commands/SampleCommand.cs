using System.CommandLine;
using NextPatch.Cli.Models;
using NextPatch.Cli.Rendering;
using NextPatch.Cli.Sampling;
using NextPatch.Core.Checkpoints;
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
        var model = new Option<string>("--model") { Description = "A run folder (its newest checkpoint), a checkpoint or Hugging Face folder, or a file of weights (.pt, .pth, .safetensors, .npz).", HelpName = "path", Required = true };
        var tokenizer = new Option<string?>("--tokenizer") { Description = "Tokenizer folder, or a weights file in the published layout (vq_ds16_c2i.pt). [default: tokenizer/ in or beside the run; without one, codes are written instead of images]", HelpName = "path" };
        var classes = new Option<string[]>("--class")
        {
            Description = "A class by number, name, synonym or the beginning of one; may be repeated, images take them in turn. 'all' = every class.", HelpName = "class",
            DefaultValueFactory = _ => ["all"],
        };
        var count = new Option<int>("--count") { Description = "Number of images.", HelpName = "n", DefaultValueFactory = _ => DefaultCount };
        var seed = new Option<ulong>("--seed") { Description = "Seed. Image k depends on seed, k, class and rules only, not on --count.", HelpName = "n", DefaultValueFactory = _ => 0 };
        var weights = new Option<string?>("--weights") { Description = "Which weights: ema (their average over training) or model. [default: ema where there is one]", HelpName = "ema|model" };
        weights.AcceptOnlyFromAmong("ema", "model");
        var imageSize = new Option<int?>("--image-size") { Description = "Side of the images in pixels, 16 per code, where the file does not say it: 256 or 384. [default: 256]", HelpName = "px" };
        var precision = new Option<string>("--precision")
        {
            Description = "Element type of the weights in memory: bf16 halves it, and is slow on processors without bf16 instructions.", HelpName = "fp32|bf16", DefaultValueFactory = _ => "fp32",
        };
        precision.AcceptOnlyFromAmong("fp32", "bf16");
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
              nextpatch sample --model c2i_B_256.pt --class "golden retriever" --count 8 --cfg-scale 2.0 --output goldens

            Of a file of weights alone the shape is inferred. A model of 1000 classes without names is taken for one of ImageNet.
            """) { model, tokenizer, classes, count, seed, weights, imageSize, precision, output };
        rules.AddTo(command);
        command.SetAction((parsed, cancellation) =>
        {
            var terminal = Terminal.Of(parsed);
            GenerationRequest request = null!;
            using var loaded = SampleModel.Load(
                parsed.GetRequiredValue(model), parsed.GetValue(tokenizer), Enum.Parse<WeightsKind>(parsed.GetValue(weights) ?? "auto", ignoreCase: true),
                parsed.GetValue(imageSize), parsed.GetValue(precision) == "bf16",
                config => request = new GenerationRequest // here, so that a mistyped class is said at once
                {
                    Labels = Labels(parsed.GetRequiredValue(classes), parsed.GetValue(count), config),
                    Seed = parsed.GetValue(seed),
                    Sampling = rules.Resolve(parsed, config.Model),
                });
            var folder = parsed.GetRequiredValue(output);
            terminal.Log.WriteLine($"{loaded.Engine.Name}, {(loaded.KindName == "ema" ? "averaged weights (ema)" : "raw weights (model)")}, model {loaded.Hash[..12]}");
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

        var lookup = new ClassLookup(config.ClassNames, config.Model.ClassCount);
        var chosen = classes.SelectMany(name => name == "all" ? Enumerable.Range(0, config.Model.ClassCount) : [lookup.Find(name)]).ToArray();
        return [.. Enumerable.Range(0, count).Select(i => chosen[i % chosen.Length])];
    }
}
