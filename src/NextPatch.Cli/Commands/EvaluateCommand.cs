using System.CommandLine;
using System.Text.Json.Nodes;
using NextPatch.Cli.CommandLine;
using NextPatch.Cli.Evaluation;
using NextPatch.Cli.Rendering;
using NextPatch.Cli.Sampling;
using NextPatch.Core;
using NextPatch.Core.Checkpoints;
using NextPatch.Evaluation;
using NextPatch.Evaluation.Clip;
using NextPatch.Evaluation.Protocol;

namespace NextPatch.Cli.Commands;

/// <summary><c>nextpatch evaluate</c>: distances between sets of images, and the protocol they were measured by.</summary>
internal static class EvaluateCommand
{
    public static Command Create()
    {
        var (measure, clip) = (new MeasureOptions(isRequired: false), new ClipOptions());
        var rules = new SamplingOptions();
        var samples = new Option<string?>("--samples")
        {
            Description = "Images to measure: samples.npz, a folder that 'sample' wrote, a folder of PNG files or another dataset, codes, or a "
                + "model that draws them now.", HelpName = "path",
        };
        var part = new Option<string?>("--samples-part")
        {
            Description = "Part of a dataset or of codes. [default: the only one, or train]", HelpName = "train|test",
        };
        part.AcceptOnlyFromAmong("train", "test");
        var tokenizer = new Option<string?>("--tokenizer")
        {
            Description = "Tokenizer of codes or of a model. [default: the one that they remember, or tokenizer/ beside them]", HelpName = "path",
        };
        var count = new Option<int?>("--count")
        {
            Description = "Number of images that a model draws, its classes in turn; 50000 is what papers report.", HelpName = "n",
        };
        var random = SampleCommand.CreateRandomClasses();
        var seed = new Option<ulong>("--seed")
        {
            Description = "Seed of the images that a model draws and of the kernel distance's subsets.", HelpName = "n", DefaultValueFactory = _ => 0,
        };
        var modelWeights = new Option<string?>("--model-weights")
        {
            Description = "Which weights of a model: ema or model. [default: ema where there is one]", HelpName = "ema|model",
        };
        modelWeights.AcceptOnlyFromAmong("ema", "model");
        var save = new Option<string?>("--save-statistics")
        {
            Description = "Write mean and covariance of the reference to this .safetensors file, to be named as --reference later; then --samples "
                + "may be missing.", HelpName = "file",
        };
        var features = new Option<string?>("--features")
        {
            Description = "Folder of features: with --shard a part of them is computed and left there, without it figures are made of them.",
            HelpName = "dir",
        };
        var shard = ShardOption.Create("Features of every n-th batch of images go to --features, nothing is measured; the same command without "
            + "--shard then gives the figures of one process.");
        var device = DeviceOption.Create("Figures are equal within rounding.");
        var json = new Option<bool>("--json")
        {
            Description = "Write figures, protocol and warnings as JSON: fd, fid, sfid, inceptionScore (and inceptionScoreTenSplits), precision, "
                + "recall, kid, clip, protocol, warnings.",
        };
        var command = new Command(
            "evaluate",
            """
            Measures images against a reference as papers do: Fréchet distance (FID in the features of the FID Inception network,
            FD-<network> in others), sFID, Inception Score, precision, recall, KID. Says by which protocol, refuses comparisons that
            would mislead, and warns where figures cannot be compared with published ones. With --clip also how well images show their prompts.

            Examples:
              Without a download, in the features of a small classifier that is built in (no FID; for comparing your own runs):
                nextpatch evaluate --samples samples --reference photographs --image-size 64
              The paper's FID, sFID, Inception Score, precision and recall of 50,000 samples, with the weights in the cache folder or in a file:
                nextpatch evaluate --samples samples-50k --reference VIRTUAL_imagenet256_labeled.npz --network inception
                nextpatch evaluate --samples samples.npz \
                    --reference VIRTUAL_imagenet256_labeled.npz --weights pt_inception-2015-12-05-6726825d.pth --metrics fid,is --json
              A model that draws while it is measured, with its EMA weights or those as trained, by any rules of 'sample':
                nextpatch evaluate --samples run --count 5000 --seed 7 --model-weights model --cfg-scale 2 --cfg-shape power --cfg-power 2 \
                    --temperature 0.9 --top-k 500 --top-p 0.95 --reference cifar10.tar.gz --reference-part train \
                    --network resnet20 --weights resnet20-cifar10.safetensors
                nextpatch evaluate --samples run --count 5000 --random-classes --cfg-interval 32 --cfg-scale 3 \
                    --reference cifar10.tar.gz --weights resnet20-cifar10.safetensors
                nextpatch evaluate --samples run --count 100 --greedy --reference cifar10.tar.gz --weights resnet20-cifar10.safetensors
              What a tokenizer makes of stored codes, against the originals:
                nextpatch evaluate --samples codes --samples-part test --tokenizer tok \
                    --reference photographs --reference-part test --image-size 256 --network inception
              Images against the prompts that they were drawn from, as papers of text-to-image models do:
                nextpatch evaluate --samples samples --clip clip-vit-base-patch32
                nextpatch evaluate --samples samples --prompts PartiPrompts.tsv --clip ViT-B-32.safetensors --clip-merges merges.txt --json
              50,000 images by several processes or machines, then the figures:
                srun -n 16 nextpatch evaluate --samples samples-50k --reference VIRTUAL_imagenet256_labeled.npz --network inception \
                    --features features --shard rank
                nextpatch evaluate --samples samples-50k --reference VIRTUAL_imagenet256_labeled.npz --network inception --features features
              Statistics of a reference once, to be used often; a figure as pytorch-fid computes it:
                nextpatch evaluate --reference photographs --image-size 256 --network inception --save-statistics photographs.safetensors
                nextpatch evaluate --samples pngs --reference photographs --image-size 256 --network inception --resize legacy --metrics fid
            """) { samples, part, tokenizer, count, random, seed, modelWeights, save, features, shard, device, json };
        measure.AddTo(command);
        clip.AddTo(command);
        rules.AddTo(command);
        command.SetAction((parsed, cancellation) =>
        {
            var terminal = Terminal.From(parsed);
            using var progress = terminal.CreateProgress();
            var (path, saveTo) = (parsed.GetValue(samples), parsed.GetValue(save));
            if (path is null && saveTo is null)
            {
                throw new ConfigException(
                    "Name --samples to measure, or --save-statistics to keep the statistics of the reference; there is nothing to do.");
            }

            var isClipAsked = clip.IsAsked(parsed);
            if (isClipAsked && parsed.GetValue(shard) is not null)
            {
                throw new ConfigException("--clip is measured in one process; leave --shard out, or --clip.");
            }

            if (parsed.GetValue(measure.Reference) is null && !(isClipAsked && saveTo is null))
            {
                throw new ConfigException(
                    "--reference is missing: name what the samples are measured against, or with --clip measure them against prompts.");
            }

            if (isClipAsked && path is null)
            {
                throw new ConfigException("--clip measures images against their prompts; name the images with --samples.");
            }

            var score = isClipAsked ? clip.Measure(parsed, path!, progress.ForEvaluation(), cancellation) : null;
            if (parsed.GetValue(measure.Reference) is null)
            {
                progress.Dispose();
                Show(terminal, null, score, parsed.GetValue(json));
                return Task.FromResult(ExitCode.Success);
            }

            var options = measure.Read(parsed) with
            {
                SamplesPart = parsed.GetValue(part),
                Tokenizer = parsed.GetValue(tokenizer),
                ModelWeights = Enum.Parse<WeightsKind>(parsed.GetValue(modelWeights) ?? "auto", ignoreCase: true),
                Seed = parsed.GetValue(seed),
                Device = DeviceOption.Of(parsed, device),
                Features = parsed.GetValue(features),
                Shard = ShardOption.Of(parsed, shard),
                OnNote = progress.WriteLine,
                Drawing = parsed.GetValue(count) is { } images
                    ? rules.Fill(parsed, new ImageRequest { Count = images, Seed = parsed.GetValue(seed), RandomClasses = parsed.GetValue(random) })
                    : null,
            };
            rules.Warn(parsed, terminal);
            using var measured = path is null ? null : ImageEvaluator.Open(path, options, cancellation);
            if (measured is not null and not ModelImageSet)
            {
                RefuseDrawing(parsed, [count, random, modelWeights, .. rules.All], path!, measured.Layout);
            }

            var result = ImageEvaluator.Measure(
                measured, parsed.GetValue(measure.Reference)!, options, saveTo, progress.ForEvaluation(), cancellation);
            if (result is not null)
            {
                progress.Dispose();
                Show(terminal, result, score, parsed.GetValue(json));
            }

            return Task.FromResult(ExitCode.Success);
        });
        return command;
    }

    /// <summary>Options that would be ignored are mistakes.</summary>
    private static void RefuseDrawing(ParseResult parsed, IReadOnlyList<Option> options, string path, string layout)
    {
        if (options.Where(o => parsed.GetResult(o) is { Implicit: false }).Select(o => o.Name).ToArray() is { Length: > 0 } given)
        {
            throw new ConfigException(
                $"{string.Join(", ", given)} would say how a model draws images, but '{path}' holds images already ({layout}); all of them are "
                + $"measured. Leave {(given.Length == 1 ? "it" : "them")} out.");
        }
    }

    private static void Show(Terminal terminal, EvaluationResult? result, ClipScoreResult? score, bool asJson)
    {
        if (asJson)
        {
            var figures = result is null ? [] : JsonNode.Parse(Terminal.ToJson(result))!.AsObject();
            if (score is not null)
            {
                figures["clip"] = ClipOptions.ToJson(score);
            }

            terminal.WriteJson(figures);
        }
        else
        {
            if (score is not null)
            {
                ClipOptions.Write(terminal, score);
            }

            if (result is not null)
            {
                EvaluationTable.Write(terminal, result);
            }
        }

        foreach (var warning in result?.Warnings.Distinct() ?? [])
        {
            terminal.WriteNote("Warning: " + warning);
        }
    }
}
