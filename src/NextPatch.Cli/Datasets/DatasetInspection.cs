using NextPatch.Cli.Rendering;
using NextPatch.Core.Imaging;
using NextPatch.Data.Datasets;
using NextPatch.Data.Imaging;
using NextPatch.Data.Sources;

namespace NextPatch.Cli.Datasets;

/// <summary>Reads a dataset of images and describes it.</summary>
internal static class DatasetInspection
{
    private const int GridColumns = 8;
    private const int MaxGridRows = 20;
    private const int ShownSizes = 5;

    public static DatasetSummary Describe(string path, string? grid, OnBadImage onError, ProgressReporter progress, CancellationToken cancellation)
    {
        using var parts = DatasetReader.OpenParts(path, cancellation);
        var train = Take(parts.Train, "Reading", grid is null ? 0 : GridColumns, onError, progress, cancellation);
        var test = parts.Test is null ? null : Take(parts.Test, "Reading the test part", 0, onError, progress, cancellation);
        if (grid is not null && train.Thumbnails.Count > 0)
        {
            File.WriteAllBytes(grid, PngWriter.Encode(Compose(train)));
        }

        return Summarize(train) with { Captions = CaptionInspection.OfList(path), Test = test is null ? null : Summarize(test) };
    }

    private static DatasetSurvey Take(
        ImageSource source, string label, int thumbnails, OnBadImage onError, ProgressReporter progress, CancellationToken cancellation)
        => DatasetSurvey.Take(
            source, onError, thumbnails, progress: new Report(p => progress.Report(label, p.Done, p.Total)), cancellationToken: cancellation);

    private static DatasetSummary Summarize(DatasetSurvey survey) => new()
    {
        Name = survey.Name,
        Layout = survey.Layout,
        Count = survey.ListedCount,
        Classes = [.. survey.ClassNames.Select((name, label) => new DatasetSummary.ClassSummary(name, survey.ClassCounts[label]))],
        Imbalance = Imbalance(survey.ClassCounts),
        Sizes = survey.ReadCount == 0 ? null : Sizes(survey.Sizes),
        BadCount = survey.BadCount,
        LeftOut = survey.LeftOut.Count > 0 ? survey.LeftOut : null,
        Bad = [.. survey.Bad.Select(b => new DatasetSummary.BadFile(b.Path, b.Reason))],
    };

    internal static double? Imbalance(IReadOnlyCollection<int> counts)
        => counts.Count > 1 && counts.Min() > 0 ? (double)counts.Max() / counts.Min() : null;

    private static DatasetSummary.ImageSizes Sizes(IReadOnlyDictionary<(int Width, int Height), int> sizes) => new(
        sizes.Count,
        sizes.Keys.Min(s => Math.Min(s.Width, s.Height)),
        sizes.Keys.Max(s => Math.Max(s.Width, s.Height)),
        Median(sizes.Select(s => (s.Key.Width, s.Value))),
        Median(sizes.Select(s => (s.Key.Height, s.Value))),
        [.. sizes.OrderByDescending(s => s.Value).ThenBy(s => s.Key).Take(ShownSizes).Select(
            s => new DatasetSummary.SizeCount(s.Key.Width, s.Key.Height, s.Value))]);

    private static int Median(IEnumerable<(int Length, int Count)> lengths)
    {
        var sorted = lengths.OrderBy(l => l.Length).ToArray();
        var rest = (sorted.Sum(l => (long)l.Count) + 1) / 2;
        return sorted.First(l => (rest -= l.Count) <= 0).Length;
    }

    /// <summary>A row per class; a short row is filled with black.</summary>
    private static RgbImage Compose(DatasetSurvey survey)
    {
        var rows = survey.Thumbnails.OrderBy(t => t.Key).Take(MaxGridRows).ToArray();
        var side = rows[0].Value[0].Width;
        var images = rows.SelectMany(r => r.Value.Concat(Enumerable.Repeat(new RgbImage(side, side), GridColumns - r.Value.Count))).ToArray();
        return ImageGrid.Compose(images, GridColumns, rowLabels: [.. rows.Select(r => survey.ClassNames[r.Key])]);
    }

    /// <summary>Reports on the calling thread; Progress would post to the pool and come late.</summary>
    private sealed class Report(Action<ReadProgress> report) : IProgress<ReadProgress>
    {
        void IProgress<ReadProgress>.Report(ReadProgress value) => report(value);
    }
}
