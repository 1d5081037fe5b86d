using NextPatch.Cli.Rendering;

namespace NextPatch.Cli.Datasets;

/// <summary>A summary as lines for people.</summary>
internal static class DatasetTable
{
    private const int ShownClasses = 20;
    private const int ShownBad = 20;

    public static void Write(Terminal terminal, DatasetSummary summary)
    {
        WritePart(terminal, summary);
        if (summary.Test is { } test)
        {
            terminal.Data.WriteLine("test part");
            WritePart(terminal, test);
        }
    }

    private static void WritePart(Terminal terminal, DatasetSummary summary)
    {
        terminal.WriteFacts(Facts(summary), 12);
        var output = terminal.Data;
        foreach (var label in summary.Classes?.Take(ShownClasses) ?? [])
        {
            output.WriteLine($"  {label.Count,10:N0}  {label.Name}");
        }

        if (summary.Classes?.Count > ShownClasses)
        {
            output.WriteLine($"  ... and {summary.Classes.Count - ShownClasses} more classes; --json lists them all");
        }

        foreach (var bad in summary.Bad?.Take(ShownBad) ?? [])
        {
            output.WriteLine($"  bad: {bad.Reason}");
        }

        foreach (var leftOut in summary.LeftOut ?? [])
        {
            output.WriteLine($"  left out: {leftOut}");
        }

        foreach (var changed in summary.ChangedFiles ?? [])
        {
            output.WriteLine($"  changed: {changed}");
        }
    }

    private static IEnumerable<(string Name, string? Value)> Facts(DatasetSummary s) =>
    [
        ("name", s.Name),
        ("layout", s.Layout),
        ("images", s.Count is null ? null : $"{s.Count:N0}{(s.BadCount > 0 ? $", of which {s.BadCount:N0} cannot be read" : "")}"
            + (s.HeldOutCount > 0 ? $", of which {s.HeldOutCount:N0} are held out" : "")),
        ("grid", s.GridSide is { } side ? $"{side}x{side} codes of {s.VocabularySize:N0}, {s.Augmentations} variants an image ({s.CropPolicy}), "
            + $"{s.CodebookUsage:P1} of the codebook used" : null),
        ("files", s.ChangedFiles is null ? null
            : s.HasHashes != true ? "no hashes recorded"
            : s.ChangedFiles.Count == 0 ? "as written (SHA-256)"
            : "CHANGED since they were written"),
        ("sizes", s.Sizes is { } z ? $"{z.Distinct:N0} different, sides {z.SmallestSide} to {z.LargestSide}, median "
            + $"{z.MedianWidth}x{z.MedianHeight}; {string.Join(", ", z.MostFrequent.Select(f => $"{f.Width}x{f.Height} ({f.Count:N0})"))}" : null),
        ("captions", s.Captions?.ToString()),
        ("classes", s.Classes is null ? null : $"{s.Classes.Count:N0}{(s.Imbalance is { } i ? $", the largest {i:0.##} times the smallest" : "")}"),
    ];
}
