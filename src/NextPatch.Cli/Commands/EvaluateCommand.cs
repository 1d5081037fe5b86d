using System.CommandLine;
using NextPatch.Cli.Evaluation;
using NextPatch.Cli.Rendering;
using NextPatch.Cli.Sampling;
using NextPatch.Core.Checkpoints;
using NextPatch.Core.Configuration;
using NextPatch.Evaluation.Networks;
using NextPatch.Evaluation.Protocol;

namespace NextPatch.Cli.Commands;

/// <summary><c>nextpatch evaluate</c>: distances between sets of images, and the protocol they were measured by.</summary>
internal static class EvaluateCommand
{
    public static Command Create()
    {
        var measure = new MeasureOptions(isRequired: true);
        var rules = new SamplingOptions();
        var samples = new Option<string?>("--samples") { Description = "Images to measure: samples.npz, a folder that 'sample' wrote, a folder of PNG files or another dataset, codes, or a model that draws them now.", HelpName = "path" };
        var part = new Option<string?>("--samples-part") { Description = "Part of a dataset or of codes. [default: the only one, or train]", HelpName = "train|test" };
        var tokenizer = new Option<string?>("--tokenizer") { Description = "Tokenizer of codes or of a model. [default: tokenizer/ beside them]", HelpName = "path" };
        var count = new Option<int?>("--count") { Description = "Number of images that a model draws, its classes in turn; 50000 is what papers report.", HelpName = "n" };
        var seed = new Option<ulong>("--seed") { Description = "Seed of the images that a model draws and of the kernel distance's subsets.", HelpName = "n", DefaultValueFactory = _ => 0 };
        var modelWeights = new Option<string?>("--model-weights") { Description = "Which weights of a model: ema or model. [default: ema where there is one]", HelpName = "ema|model" };
        modelWeights.AcceptOnlyFromAmong("ema", "model");
        var save = new Option<string?>("--save-statistics") { Description = "Write mean and covariance of the reference to this .safetensors file, to be named as --reference later; then --samples may be missing.", HelpName = "file" };
        var json = new Option<bool>("--json") { Description = "Write figures, protocol and warnings as JSON: fd, fid, sfid, inceptionScore, precision, recall, kid, protocol, warnings." };
        var command = new Command(
            "evaluate",
            """
            Measures images against a reference as papers do: Fréchet distance (FID in the features of the FID Inception network,
            FD-<network> in others), sFID, Inception Score, precision, recall, KID. Says by which protocol, refuses comparisons that
            would mislead, and warns where figures cannot be compared with published ones.

            Examples:
              nextpatch evaluate --samples samples/samples.npz --reference VIRTUAL_imagenet256_labeled.npz --network inception --weights pt_inception-2015-12-05.pth
              nextpatch evaluate --samples run --count 5000 --cfg-scale 2 --reference cifar10.tar.gz --network resnet20 --weights resnet20-cifar10.safetensors --json
              nextpatch evaluate --samples codes --samples-part test --tokenizer tokenizer --reference photographs --reference-part test --weights resnet20-cifar10.safetensors
              nextpatch evaluate --reference photographs --image-size 256 --network inception --save-statistics photographs.safetensors
            """) { samples, part, tokenizer, count, seed, modelWeights, save, json };
        measure.AddTo(command);
        rules.AddTo(command);
        command.SetAction((parsed, cancellation) =>
        {
            var terminal = Terminal.Of(parsed);
            using var progress = terminal.CreateProgress();
            var (path, saveTo) = (parsed.GetValue(samples), parsed.GetValue(save));
            if (path is null && saveTo is null)
            {
                throw new ConfigException("Name --samples to measure, or --save-statistics to keep the statistics of the reference; there is nothing to do.");
            }

            if (saveTo is not null && !saveTo.EndsWith(".safetensors", StringComparison.OrdinalIgnoreCase))
            {
                throw new ConfigException($"--save-statistics {saveTo} must end in .safetensors: the file remembers network, weights and resize as metadata. 'nextpatch convert' makes an npz of it.");
            }

            using var images = path is null ? null : ImageSetOpener.Open(path, parsed.GetValue(part), measure.ImageSize(parsed), new DrawingOptions
            {
                Tokenizer = parsed.GetValue(tokenizer),
                Weights = Enum.Parse<WeightsKind>(parsed.GetValue(modelWeights) ?? "auto", ignoreCase: true),
                Count = parsed.GetValue(count),
                Seed = parsed.GetValue(seed),
                Sampling = model => rules.Resolve(parsed, model),
            }, cancellation);
            using var network = measure.OpenNetwork(parsed);
            var reference = measure.OpenReference(parsed, network, measure.Metrics(parsed), images is null ? null : FeatureOrigin.Of(network, images), progress, cancellation);
            Save(saveTo, reference, progress);
            if (images is not null)
            {
                var result = Measure(new Evaluator(network, reference, measure.Metrics(parsed), parsed.GetValue(seed)), images, network, progress, cancellation);
                progress.Dispose();
                Show(terminal, result, parsed.GetValue(json));
            }

            return Task.FromResult(ExitCode.Success);
        });
        return command;
    }

    private static EvaluationResult Measure(Evaluator evaluator, ImageSet images, IFeatureNetwork network, ProgressReporter progress, CancellationToken cancellation)
        => evaluator.Measure(
            images, progress.For($"Samples, {network.Name}", images.Count), () => progress.WriteLine($"Computing {string.Join(", ", evaluator.Metrics.Order()).ToLowerInvariant()} of {images.Count} images."), cancellation);

    private static void Save(string? path, EvaluationReference reference, ProgressReporter progress)
    {
        if (path is null)
        {
            return;
        }

        if (reference.Images is null)
        {
            throw new ConfigException($"The reference {reference.Origin.Name} holds statistics already; name images to make new ones of.");
        }

        StatisticsFile.Write(path, reference.Images.ToStored());
        progress.WriteLine($"Statistics of {reference.Origin.Images} images: {path}");
    }

    private static void Show(Terminal terminal, EvaluationResult result, bool asJson)
    {
        foreach (var warning in result.Warnings)
        {
            terminal.Log.WriteLine("Warning: " + warning);
        }

        if (asJson)
        {
            terminal.WriteJson(result);
        }
        else
        {
            EvaluationTable.Write(terminal, result);
        }
    }
}
