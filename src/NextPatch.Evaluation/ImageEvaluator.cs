using NextPatch.Core;
using NextPatch.Core.Generation;
using NextPatch.Evaluation.Networks;
using NextPatch.Evaluation.Protocol;
using NextPatch.Models;
using NextPatch.Torch.Loading;

namespace NextPatch.Evaluation;

/// <summary>
/// Measures images against a reference as papers do: Fréchet distance (FID in the features of the FID Inception network), sFID, Inception Score,
/// precision, recall, KID.
/// <code>
/// var result = ImageEvaluator.Measure("samples", "VIRTUAL_imagenet256_labeled.npz", new() { Network = "inception" });
/// Console.WriteLine($"FID {result.Fid}, {string.Join(' ', result.Warnings)}");
/// </code>
/// </summary>
/// <remarks>
/// May be called from any thread, also at the same time. Only a batch of images is in memory, and the features of all where metrics need them.
/// </remarks>
public static class ImageEvaluator
{
    /// <summary>Measures samples.</summary>
    /// <param name="samples">A folder or archive of images, another dataset, an npz, what <c>nextpatch sample</c> wrote, codes, or a model that
    /// draws.</param>
    /// <param name="reference">A dataset, an npz of images or of statistics (ADM), or what <see cref="SaveStatistics"/> wrote.</param>
    /// <param name="options">Null: the defaults.</param>
    /// <param name="progress">Told after every batch.</param>
    /// <param name="cancellation">Checked between batches, and within long computations.</param>
    /// <exception cref="ConfigException">The comparison would mislead, or something is asked for that is impossible; says why.</exception>
    /// <exception cref="NextPatchException">Something is missing, damaged, or cannot be read.</exception>
    public static EvaluationResult Measure(
        string samples, string reference, ImageEvaluationOptions? options = null, IProgress<EvaluationProgress>? progress = null,
        CancellationToken cancellation = default)
    {
        options ??= new ImageEvaluationOptions();
        using var images = Open(samples, options, cancellation);
        return Measure(images, reference, options, statistics: null, progress, cancellation)!;
    }

    /// <summary>Writes mean and covariance of a reference's features, to be named as a reference later.</summary>
    /// <param name="reference">Images.</param>
    /// <param name="path">A .safetensors file; it remembers network, weights and resize.</param>
    /// <param name="options">Null: the defaults.</param>
    /// <param name="progress">Told after every batch.</param>
    /// <param name="cancellation">Checked between batches.</param>
    /// <exception cref="ConfigException">Another ending, or the reference holds statistics already.</exception>
    /// <exception cref="NextPatchException">Something is missing, damaged, or cannot be read.</exception>
    public static void SaveStatistics(
        string reference, string path, ImageEvaluationOptions? options = null, IProgress<EvaluationProgress>? progress = null,
        CancellationToken cancellation = default)
        => Measure((ImageSet?)null, reference, options ?? new ImageEvaluationOptions(), path, progress, cancellation);

    /// <summary>
    /// Opens what measures a model while it is trained: always the same images, by seed and class, of <see cref="ImageEvaluationOptions.Drawing"/>.
    /// </summary>
    /// <param name="reference">Images or statistics, as elsewhere.</param>
    /// <param name="tokenizer">Folder or file of the tokenizer that turns the model's codes into images.</param>
    /// <param name="options">Without metrics the Fréchet distance is measured.</param>
    /// <param name="progress">Told after every batch, now and later.</param>
    /// <param name="cancellation">Stops reading the reference.</param>
    /// <exception cref="ConfigException">Images of this size cannot be compared with the reference.</exception>
    /// <exception cref="NextPatchException">Something is missing, damaged, or cannot be read.</exception>
    public static TrainingMetric OpenMetric(
        string reference, string tokenizer, ImageEvaluationOptions options, IProgress<EvaluationProgress>? progress = null,
        CancellationToken cancellation = default)
    {
        NativeBackend.EnsureLoaded();
        var request = options.Drawing ?? throw new ArgumentException("Drawing says what is drawn, and is not set.", nameof(options));
        var network = options.OpenNetwork();
        IImageTokenizer? decoder = null;
        try
        {
            decoder = TokenizerSource.Open(ComputeBackends.Find(options.Backend), tokenizer);
            var side = decoder.Config.ImageSide;
            var metrics = options.Metrics ?? new HashSet<EvaluationMetric> { EvaluationMetric.Fd };
            var opened = OpenReference(
                reference, options with { Metrics = metrics }, network, FeatureOrigin.From(network, (side, side)), areSamplesCropped: false, progress,
                cancellation, options.Tokenizer);
            var evaluator = new Evaluator(network, opened, metrics, options.Seed);
            return new TrainingMetric(network, evaluator, decoder, request, options.OnNote, options.PromptFeatures)
            {
                Progress = () => EvaluationProgress.Begin(progress, $"Measuring, {network.Name}", request.Count),
            };
        }
        catch
        {
            decoder?.Dispose();
            network.Dispose();
            throw;
        }
    }

    /// <summary>Opens samples.</summary>
    internal static ImageSet Open(string path, ImageEvaluationOptions options, CancellationToken cancellation)
    {
        NativeBackend.EnsureLoaded();
        return ImageSetOpener.Open(path, options.SamplesPart, options.ImageSize, options.ForModels, cancellation);
    }

    /// <summary>Measures, and writes the statistics of the reference; either may be left out.</summary>
    /// <param name="samples">Stays the caller's.</param>
    /// <param name="reference">Its path.</param>
    /// <param name="options">How.</param>
    /// <param name="statistics">File that receives them; null: none.</param>
    /// <param name="progress">Told after every batch.</param>
    /// <param name="cancellation">Checked between batches.</param>
    /// <returns>Null without samples.</returns>
    internal static EvaluationResult? Measure(
        ImageSet? samples, string reference, ImageEvaluationOptions options, string? statistics, IProgress<EvaluationProgress>? progress,
        CancellationToken cancellation)
    {
        if (statistics is not null)
        {
            PrepareStatistics(statistics);
        }

        NativeBackend.EnsureLoaded();
        if (options.Shard is { } shard)
        {
            WriteFeatures(samples, reference, options, shard, progress, cancellation);
            return null;
        }

        var stored = options.Features is { } features ? new StoredFeatures(features, options.OpenNetwork()) : null;
        using var network = (IFeatureNetwork?)stored ?? options.OpenNetwork();
        var origin = samples is null ? null : FeatureOrigin.From(network, samples) with { IsGrey = samples.LookForColour(cancellation) };
        var opened = OpenReference(reference, options, network, origin, samples is DatasetImageSet, progress, cancellation);
        if (statistics is not null)
        {
            WriteStatistics(statistics, opened);
            options.OnNote?.Invoke($"Statistics of {opened.Origin.Images} images: {statistics}");
        }

        var result = samples is null ? null : new Evaluator(network, opened, options.Metrics, options.Seed).Measure(
            samples, EvaluationProgress.Begin(progress, $"Samples, {network.Name}", samples.Count),
            figure => options.OnNote?.Invoke($"Computing the {figure} of {samples.Count} images."), cancellation);
        if (stored is { Computed: > 0 and var missing })
        {
            options.OnNote?.Invoke($"The features of {missing} images were in no part of {options.Features} and were computed here.");
        }

        return result;
    }

    /// <summary>Computes a part of the features of samples and reference.</summary>
    /// <exception cref="ConfigException">No folder for them, or images that would have to be made first.</exception>
    private static void WriteFeatures(
        ImageSet? samples, string reference, ImageEvaluationOptions options, Shard shard, IProgress<EvaluationProgress>? progress,
        CancellationToken cancellation)
    {
        var folder = options.Features ?? throw new ConfigException("Shard needs a folder that all parts share; name it with Features.")
        {
            Settings = ["Shard", "Features"],
        };
        var hasImages = StatisticsFile.TryRead(reference, options.ReferencePart) is null
            || (MetricChoice.NeedsImages(options.Metrics) && reference.EndsWith(".npz", StringComparison.OrdinalIgnoreCase)
                && ArrayImageSet.HasImages(reference));
        using var images = hasImages
            ? ImageSetOpener.Open(reference, options.ReferencePart, options.ImageSize, drawing: null, cancellation, options.Tokenizer) : null;
        ImageSet[] sets = [.. new[] { samples, images }.OfType<ImageSet>()];
        if (sets.FirstOrDefault(s => !s.IsStored) is { } made)
        {
            throw new ConfigException(
                $"{made.Name} ({made.Layout}) holds no images yet, and every part would make all of them; draw them first, in parts too, and "
                + "measure what was written.");
        }

        using var network = options.OpenNetwork();
        var (file, count) = StoredFeatures.Write(
            folder, sets, network, shard,
            EvaluationProgress.Begin(progress, $"Features {shard}, {network.Name}", sets.Sum(s => s.Count) / shard.Count),
            cancellation: cancellation);
        options.OnNote?.Invoke($"Features of {count} images: {file}");
    }

    /// <summary>Reads or computes what samples are measured against.</summary>
    /// <param name="path">The reference.</param>
    /// <param name="options">How.</param>
    /// <param name="network">The feature network.</param>
    /// <param name="samples">How features of the samples will come about; null where there are none.</param>
    /// <param name="areSamplesCropped">Whether the samples are a dataset, which <see cref="ImageEvaluationOptions.ImageSize"/> crops.</param>
    /// <param name="progress">Told after every batch.</param>
    /// <param name="cancellation">Checked between batches.</param>
    /// <param name="tokenizer">Of a reference that is codes; null: the one that they remember.</param>
    /// <exception cref="ConfigException">Not to be compared with the samples, or the image size crops neither side.</exception>
    internal static EvaluationReference OpenReference(
        string path, ImageEvaluationOptions options, IFeatureNetwork network, FeatureOrigin? samples, bool areSamplesCropped,
        IProgress<EvaluationProgress>? progress, CancellationToken cancellation, string? tokenizer = null)
    {
        var (part, metrics) = (options.ReferencePart, options.Metrics);
        MetricChoice.RequireNetwork(metrics, network);
        var stored = StatisticsFile.TryRead(path, part);
        var hasImages = stored is null || (path.EndsWith(".npz", StringComparison.OrdinalIgnoreCase) && ArrayImageSet.HasImages(path));

        // An npz for Inception serves other networks by its images.
        stored = stored is { Features: null } && hasImages && stored.Mean.Length != network.FeatureCount ? null : stored;
        if (stored is not null && samples is not null)
        {
            new EvaluationReference(stored, null).RequireFit(samples, network.FeatureCount);
        }

        using var images = hasImages ? ImageSetOpener.Open(path, part, options.ImageSize, drawing: null, cancellation, tokenizer) : null;
        if (!areSamplesCropped && images is not DatasetImageSet && options.ImageSize is { } side)
        {
            throw new ConfigException(
                $"ImageSize {side} would crop the images of a dataset, but neither the samples nor the reference '{path}' are one: arrays, codes, "
                + "models and statistics keep the size they have. Leave it out.")
            { Settings = ["ImageSize"] };
        }

        if (images is not null && samples?.DifferencesFrom(
            FeatureOrigin.From(network, images) with
            {
                IsGrey = samples.IsGrey is null ? null : images.LookForColour(cancellation),
            }).ToArray() is { Length: > 0 } problems)
        {
            throw new ConfigException(problems) { Settings = FeatureOrigin.Settings };
        }

        var keepsRows = samples is not null && MetricChoice.NeedsImages(metrics);
        return images is null || (stored is not null && !keepsRows)
            ? new EvaluationReference(stored, null)
            : new EvaluationReference(stored, FeatureSet.Collect(
                network, images, keepsRows, EvaluationProgress.Begin(progress, $"Reference, {network.Name}", images.Count), cancellation));
    }

    /// <summary>Says before hours of work that the file cannot be written.</summary>
    private static void PrepareStatistics(string path)
    {
        if (!path.EndsWith(".safetensors", StringComparison.OrdinalIgnoreCase))
        {
            throw new ConfigException(
                $"SaveStatistics {path} must end in .safetensors: the file remembers network, weights and resize as metadata. 'nextpatch convert' "
                + "makes an npz of it.")
            { Settings = ["SaveStatistics"] };
        }

        Directory.CreateDirectory(Path.GetDirectoryName(Path.GetFullPath(path))!);
    }

    private static void WriteStatistics(string path, EvaluationReference reference)
    {
        if (reference.Images is null)
        {
            throw new ConfigException($"The reference {reference.Origin.Name} holds statistics already; name images to make new ones of.");
        }

        StatisticsFile.Write(path, reference.Images.ToStored());
    }
}
