using System.CommandLine;
using NextPatch.Cli.Rendering;
using NextPatch.Core;
using NextPatch.Evaluation.Networks;
using NextPatch.Evaluation.Protocol;

namespace NextPatch.Cli.Evaluation;

/// <summary>The options that say what images are measured against, and in which features.</summary>
internal sealed class MeasureOptions
{
    private readonly Option<string?> _referencePart = new("--reference-part") { Description = "Part of a reference dataset, or of a file of statistics with train_mu and the like. [default: the only one, or train]", HelpName = "train|test" };
    private readonly Option<string?> _network = new("--network") { Description = "Features: inception, resnet20 (or another depth), mobilenet-v1-0.25-128, squeezenet-1.1. [default: what --weights holds]", HelpName = "name" };
    private readonly Option<string?> _weights = new("--weights") { Description = "Weights of the feature network: .safetensors, .pt, .pth, .th. [default: for inception those in the cache folder]", HelpName = "file" };
    private readonly Option<string?> _resize = CreateResize();
    private readonly Option<string?> _metrics = new("--metrics") { Description = "fd, fid, sfid, is, precision, recall, kid, separated by commas. [default: all that network and reference allow]", HelpName = "list" };
    private readonly Option<int?> _imageSize = new("--image-size") { Description = "Crop images of datasets to squares of this side, as training does. [default: as they are; they must have one size]", HelpName = "px" };

    /// <param name="isRequired">Whether the command does nothing without a reference.</param>
    public MeasureOptions(bool isRequired)
        => Reference = new("--reference")
        {
            Description = "What samples are measured against: an npz of images or statistics (ADM), statistics written by --save-statistics, a folder, an archive or another dataset.", HelpName = "path", Required = isRequired,
        };

    public Option<string?> Reference { get; }

    /// <summary>The option that names a <see cref="ResizeProtocol"/>.</summary>
    public static Option<string?> CreateResize()
    {
        var option = new Option<string?>("--resize") { Description = "How images come to the network's size: adm (the published evaluator), clean (clean-fid), legacy (pytorch-fid). [default: adm for inception, else clean]", HelpName = "adm|clean|legacy" };
        option.AcceptOnlyFromAmong("adm", "clean", "legacy");
        return option;
    }

    /// <summary>What it says; null where it is not given.</summary>
    public static ResizeProtocol? Resize(ParseResult parsed, Option<string?> option)
        => parsed.GetValue(option) is { } name ? Enum.Parse<ResizeProtocol>(name, ignoreCase: true) : null;

    public int? ImageSize(ParseResult parsed) => parsed.GetValue(_imageSize) is var side && side is null or > 0 ? side : throw new ConfigException($"--image-size {side} must be at least 1.");

    public IReadOnlySet<EvaluationMetric>? Metrics(ParseResult parsed) => MetricChoice.Parse(parsed.GetValue(_metrics));

    public void AddTo(Command command)
    {
        foreach (var option in (Option[])[Reference, _referencePart, _network, _weights, _resize, _metrics, _imageSize])
        {
            command.Add(option);
        }
    }

    /// <summary>Opens the feature network.</summary>
    /// <exception cref="NextPatchException">Unknown, missing, damaged or other weights.</exception>
    public IFeatureNetwork OpenNetwork(ParseResult parsed) => FeatureNetworks.Open(parsed.GetValue(_network), parsed.GetValue(_weights), Resize(parsed, _resize));

    /// <summary>Reads or computes what samples are measured against.</summary>
    /// <param name="parsed">The command line.</param>
    /// <param name="network">The feature network.</param>
    /// <param name="metrics">What will be computed; null = everything that is possible.</param>
    /// <param name="samples">How features of the samples will come about; null where there are none.</param>
    /// <param name="areSamplesCropped">Whether the samples are a dataset, which --image-size crops.</param>
    /// <param name="progress">Told after every batch.</param>
    /// <param name="cancellation">Checked between batches.</param>
    /// <exception cref="ConfigException">Not to be compared with the samples, or --image-size crops neither side.</exception>
    /// <exception cref="NextPatchException">Missing or damaged.</exception>
    public EvaluationReference OpenReference(
        ParseResult parsed, IFeatureNetwork network, IReadOnlySet<EvaluationMetric>? metrics, FeatureOrigin? samples, bool areSamplesCropped, ProgressReporter progress, CancellationToken cancellation)
    {
        MetricChoice.RequireNetwork(metrics, network);
        var path = parsed.GetRequiredValue(Reference)!;
        var part = parsed.GetValue(_referencePart);
        var stored = StatisticsFile.TryRead(path, part);
        var hasImages = stored is null || (path.EndsWith(".npz", StringComparison.OrdinalIgnoreCase) && ArrayImageSet.HasImages(path));

        // An npz for Inception serves other networks by its images.
        stored = stored is { Features: null } && hasImages && stored.Mean.Length != network.FeatureCount ? null : stored;
        if (stored is not null && samples is not null)
        {
            new EvaluationReference(stored, null).RequireFit(samples, network.FeatureCount);
        }

        using var images = hasImages ? ImageSetOpener.Open(path, part, ImageSize(parsed), drawing: null, cancellation) : null;
        if (!areSamplesCropped && images is not DatasetImageSet && ImageSize(parsed) is { } side)
        {
            throw new ConfigException($"--image-size {side} would crop the images of a dataset, but neither the samples nor the reference '{path}' are one: arrays, codes, models and statistics keep the size they have. Leave it out.");
        }

        if (images is not null && samples?.DifferencesFrom(FeatureOrigin.From(network, images)).ToArray() is { Length: > 0 } problems)
        {
            throw new ConfigException(problems);
        }

        var keepsRows = samples is not null && MetricChoice.NeedsImages(metrics);
        return images is null || (stored is not null && !keepsRows)
            ? new EvaluationReference(stored, null)
            : new EvaluationReference(stored, FeatureSet.Collect(network, images, keepsRows, progress.For($"Reference, {network.Name}", images.Count), cancellation));
    }
}
