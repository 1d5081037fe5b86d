using NextPatch.Core;
using NextPatch.Core.Checkpoints;
using NextPatch.Evaluation.Metrics;
using NextPatch.Evaluation.Networks;
using NextPatch.Torch.Loading;

namespace NextPatch.Evaluation.Protocol;

// Shape letters used in this file: N images, D pooled features.

/// <summary>What a network sees in a set of images, and what was noticed on the way.</summary>
internal sealed class FeatureSet
{
    private FeatureSet(ImageOrigin images, FeatureOrigin features, FeatureStatistics pooled, FeatureStatistics? spatial, float[] rows)
        => (Images, Features, Pooled, Spatial, Rows) = (images, features, pooled, spatial, rows);

    public ImageOrigin Images { get; }

    public FeatureOrigin Features { get; }

    /// <summary>Of the pooled features.</summary>
    public FeatureStatistics Pooled { get; }

    /// <summary>Of the spatial features; null where the network has none.</summary>
    public FeatureStatistics? Spatial { get; }

    /// <summary>In splits of 5,000 images; null where the network has no classes.</summary>
    public InceptionScore? Score { get; private init; }

    /// <summary>In ten splits; null where the network has no classes or there are fewer than ten images.</summary>
    public InceptionScore? TenSplitScore { get; private init; }

    /// <summary>Pooled features [N, D]; empty where they were not to be kept.</summary>
    public ReadOnlyMemory<float> Rows { get; }

    /// <summary>Notes for the user, a sentence each.</summary>
    public required IReadOnlyList<string> Warnings { get; init; }

    /// <summary>Runs the images through the network.</summary>
    /// <param name="network">Gives D features an image.</param>
    /// <param name="images">The images; read once.</param>
    /// <param name="keepRows">Whether the features themselves are wanted: 4 N D bytes.</param>
    /// <param name="progress">Receives the number of images done.</param>
    /// <param name="cancellation">Checked between batches.</param>
    /// <exception cref="ConfigException">More features than an array can hold are to be kept.</exception>
    /// <exception cref="NextPatchException">An image cannot be read, or its features are not finite or beyond every trained network's; fewer than two
    /// images.</exception>
    /// <exception cref="DataFormatException">Data are damaged, or the images differ in size.</exception>
    public static FeatureSet Collect(
        IFeatureNetwork network, ImageSet images, bool keepRows, IProgress<int>? progress = null, CancellationToken cancellation = default)
    {
        if (images.Count < 2)
        {
            throw new NextPatchException(
                $"{images.Name} holds {images.Count} image(s); a distance between distributions needs at least 2, and says something from some "
                + $"thousands on.");
        }

        if (keepRows && (long)images.Count * network.FeatureCount > Array.MaxLength)
        {
            throw new ConfigException(
                $"Precision, recall and kernel distance keep the features of all images, and {images.Count} x {network.FeatureCount} of "
                    + $"{images.Name} are too many; leave these out (Metrics fd,sfid,is), or name a reference of fewer images.")
            { Settings = ["Metrics"] };
        }

        NativeBackend.EnsureLoaded();
        using var marks = new ImageMarks();
        var pooled = new FeatureStatistics(network.FeatureCount);
        var spatial = network.SpatialCount > 0 ? new FeatureStatistics(network.SpatialCount) : null;
        var score = network.ClassCount > 1 ? new InceptionScore(network.ClassCount) : null;
        var tenSplits = score is not null && images.Count >= 10 ? InceptionScore.InTenSplits(network.ClassCount, images.Count) : null;
        var rows = keepRows ? new float[images.Count * network.FeatureCount] : []; // [N, D]
        var done = 0;
        foreach (var batch in images.Read(cancellation))
        {
            cancellation.ThrowIfCancellationRequested();
            marks.Add(batch);
            var features = network.Extract(batch.Pixels, batch.Height, batch.Width);
            RequireUsable(features.Pooled, network, images.Name, done);
            pooled.Add(features.Pooled);
            spatial?.Add(features.Spatial);
            score?.AddLogits(features.Logits);
            tenSplits?.AddLogits(features.Logits);
            if (keepRows)
            {
                features.Pooled.CopyTo(rows, done * network.FeatureCount);
            }

            done += batch.Count;
            progress?.Report(done);
        }

        return new FeatureSet(
            OriginOf(images, marks, cancellation), FeatureOrigin.From(network, images) with { IsGrey = marks.IsGrey }, pooled, spatial, rows)
        {
            Score = score,
            TenSplitScore = tenSplits,
            Warnings = [.. images.Warnings, .. CopyWarning(images, marks)],
        };
    }

    /// <summary>What a file of statistics keeps of this.</summary>
    public StoredStatistics ToStored() => new()
    {
        Mean = Pooled.Mean(), Covariance = Pooled.Covariance(), SpatialMean = Spatial?.Mean(), SpatialCovariance = Spatial?.Covariance(),
        Images = Images, Features = Features,
    };

    private static ImageOrigin OriginOf(ImageSet images, ImageMarks marks, CancellationToken cancellation) => new()
    {
        Name = images.Name,
        Layout = images.Layout,
        Part = images.Part,
        Hash = images.File is { } file ? FileHash.Compute(file, cancellation) : marks.PixelsHash(),
        HashOf = images.File is null ? "pixels" : "file",
        Images = images.Count,
        Drawing = images.Drawing,
    };

    private static IEnumerable<string> CopyWarning(ImageSet images, ImageMarks marks) => marks.CopyCount == 0
        ? []
        : [$"{marks.CopyCount} of the {images.Count} images of {images.Name} are exact copies of "
            + $"others{(images.Drawing is null ? "" : "; a seed may have been used twice")}."];

    private static void RequireUsable(float[] features, IFeatureNetwork network, string name, int done)
    {
        var bad = Array.FindIndex(features, f => !(Math.Abs(f) <= FeatureRows.Largest));
        if (bad >= 0)
        {
            throw new NextPatchException(
                $"{network.Name} gives {features[bad]} for image {done + (bad / network.FeatureCount)} of {name}, where a trained network stays "
                    + $"far below {FeatureRows.Largest}: its weights are damaged or belong to another network. Fetch them again and compare their "
                    + $"SHA-256 ({network.WeightsHash}).");
        }
    }
}
