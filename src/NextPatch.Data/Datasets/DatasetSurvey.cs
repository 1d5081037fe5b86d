using NextPatch.Core;
using NextPatch.Core.Imaging;
using NextPatch.Data.Sources;

namespace NextPatch.Data.Datasets;

/// <summary>What reading every image of a source once shows: images per class, sizes, images that cannot be read, and some thumbnails.</summary>
internal sealed class DatasetSurvey
{
    private readonly Dictionary<(int Width, int Height), int> _sizes = [];
    private readonly Dictionary<int, List<RgbImage>> _thumbnails = [];

    private DatasetSurvey(ImageSource source)
    {
        (Name, Layout, ClassNames, ListedCount, LeftOut) = (source.Name, source.Layout, source.ClassNames, source.Count, source.LeftOut);
        ClassCounts = new int[source.ClassNames.Count];
    }

    public string Name { get; }

    public string Layout { get; }

    public IReadOnlyList<string> ClassNames { get; }

    /// <summary>Images that the source lists.</summary>
    public int ListedCount { get; }

    /// <summary>What lies beside the images and is not used, by reason.</summary>
    public IReadOnlyList<LeftOutFiles> LeftOut { get; }

    /// <summary>Images that were decoded.</summary>
    public int ReadCount { get; private set; }

    /// <summary>Images that could not be.</summary>
    public int BadCount { get; private set; }

    /// <summary>The first thousand of them.</summary>
    public IReadOnlyList<BadImage> Bad { get; private set; } = [];

    /// <summary>Decoded images of each class.</summary>
    public int[] ClassCounts { get; }

    /// <summary>How often each size in pixels occurs.</summary>
    public IReadOnlyDictionary<(int Width, int Height), int> Sizes => _sizes;

    /// <summary>The first images of each class as square centre crops, by label; empty unless asked for.</summary>
    public IReadOnlyDictionary<int, List<RgbImage>> Thumbnails => _thumbnails;

    /// <summary>Reads every image.</summary>
    /// <param name="source">The images; stays open.</param>
    /// <param name="onBad">What happens to images that cannot be read.</param>
    /// <param name="thumbnailsPerClass">Thumbnails to keep; 0 for none.</param>
    /// <param name="thumbnailSide">Their width and height.</param>
    /// <param name="progress">Told now and then.</param>
    /// <param name="cancellationToken">Stops the reading.</param>
    /// <exception cref="NextPatchException">An image cannot be read and <see cref="OnBadImage.Fail"/> was asked for.</exception>
    public static DatasetSurvey Take(
        ImageSource source,
        OnBadImage onBad = OnBadImage.Skip,
        int thumbnailsPerClass = 0,
        int thumbnailSide = 64,
        IProgress<ReadProgress>? progress = null,
        CancellationToken cancellationToken = default)
    {
        var survey = new DatasetSurvey(source);
        var stream = new ImageStream(source, onBad);
        foreach (var image in stream.Read((image, _) => image, cancellationToken: cancellationToken))
        {
            survey.Add(image.Label, image.Value, thumbnailsPerClass, thumbnailSide);
            if ((image.Index + 1) % 64 == 0)
            {
                progress?.Report(new ReadProgress(image.Index + 1, source.Count));
            }
        }

        progress?.Report(new ReadProgress(source.Count, source.Count));
        (survey.ReadCount, survey.BadCount, survey.Bad) = (stream.ReadCount, stream.SkippedCount, stream.Skipped);
        return survey;
    }

    private void Add(int label, RgbImage image, int thumbnails, int side)
    {
        ClassCounts[label]++;
        var size = (image.Width, image.Height);
        _sizes[size] = _sizes.GetValueOrDefault(size) + 1;
        if (thumbnails > 0)
        {
            var kept = _thumbnails.TryGetValue(label, out var list) ? list : _thumbnails[label] = [];
            if (kept.Count < thumbnails)
            {
                kept.Add(ImageCrops.Centre(image, side));
            }
        }
    }
}
