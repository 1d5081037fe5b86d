using NextPatch.Core;
using NextPatch.Data.Codes;
using NextPatch.Text.Features;

namespace NextPatch.Cli.Datasets;

/// <summary>What captions there are: in a list of images, in a folder of codes, in a folder of features.</summary>
internal static class CaptionInspection
{
    /// <summary>Whether a path is a folder of features in the layout of <see cref="FeatureStore"/>.</summary>
    public static bool IsFeatureFolder(string path) => File.Exists(Path.Combine(path, FeatureStore.Features));

    /// <summary>Captions of a list; null where the path is none, or a list without captions.</summary>
    public static CaptionSummary? OfList(string path)
    {
        if (!File.Exists(path) || Path.GetExtension(path).ToUpperInvariant() is not (".JSONL" or ".CSV"))
        {
            return null;
        }

        try
        {
            var (lengths, missing) = (new List<int>(), new SortedDictionary<string, int>(StringComparer.Ordinal));
            foreach (var caption in CaptionFile.Read(path, 0))
            {
                if (caption.Problem is { } problem)
                {
                    missing[problem] = missing.GetValueOrDefault(problem) + 1;
                }
                else
                {
                    lengths.Add(caption.Text!.Split((char[]?)null, StringSplitOptions.RemoveEmptyEntries).Length);
                }
            }

            return lengths.Count == 0 ? null : CaptionSummary.From("words", lengths, missing);
        }
        catch (NextPatchException)
        {
            return null; // a table without such a column is a list of images alone
        }
    }

    /// <summary>Captions that images of codes refer to; null where they refer to none.</summary>
    public static CaptionSummary? OfCodes(CodeStore store)
    {
        if (store.Manifest.Captions is not { } captions)
        {
            return null;
        }

        var without = Enumerable.Range(0, store.Count).Count(i => store.CaptionLine(i) < 0);
        return new CaptionSummary
        {
            Count = store.Count - without,
            Missing = without == 0 ? [] : new() { ["no line of captions"] = without },
            CaptionsHash = captions.Hash,
        };
    }

    /// <summary>A folder of features; every number is read once.</summary>
    public static DatasetSummary OfFeatures(string path, CancellationToken cancellation)
    {
        using var features = FeatureStore.Open(path);
        var origin = FeatureFolder.OriginOf(path);
        var (lengths, missing) = (new List<int>(), new SortedDictionary<string, int>(StringComparer.Ordinal));
        for (var i = 0; i < features.Count; i++)
        {
            cancellation.ThrowIfCancellationRequested();
            if (features.ProblemOf(i) is { } problem)
            {
                missing[problem] = missing.GetValueOrDefault(problem) + 1;
                continue;
            }

            lengths.Add(features.Length(i));
            features.Read(i, new float[features.Length(i) * features.Width]);
        }

        return new DatasetSummary
        {
            Name = Path.GetFileName(Path.TrimEndingDirectorySeparator(Path.GetFullPath(path))),
            Layout = "features of captions",
            Captions = CaptionSummary.From("tokens", lengths, missing) with
            {
                Width = features.Width,
                Encoder = origin.Encoder,
                CaptionsHash = origin.CaptionsHash,
            },
        };
    }
}

/// <summary>Captions as <c>dataset inspect</c> describes them.</summary>
internal sealed record CaptionSummary
{
    /// <summary>Captions that can be used.</summary>
    public required int Count { get; init; }

    /// <summary>Lines or images without one, by reason.</summary>
    public required SortedDictionary<string, int> Missing { get; init; }

    /// <summary>What lengths count: words of captions, tokens of features.</summary>
    public string? Unit { get; init; }

    public int? Shortest { get; init; }

    public int? Median { get; init; }

    public int? Longest { get; init; }

    /// <summary>Numbers per token.</summary>
    public int? Width { get; init; }

    public string? Encoder { get; init; }

    /// <summary>SHA-256 of the file of captions.</summary>
    public string? CaptionsHash { get; init; }

    public static CaptionSummary From(string unit, List<int> lengths, SortedDictionary<string, int> missing)
    {
        lengths.Sort();
        return new CaptionSummary
        {
            Count = lengths.Count,
            Missing = missing,
            Unit = unit,
            Shortest = lengths.FirstOrDefault(),
            Median = lengths.ElementAtOrDefault(lengths.Count / 2),
            Longest = lengths.LastOrDefault(),
        };
    }

    public override string ToString() => string.Join(", ", ((string?[])[
        $"{Count:N0}", .. Missing.Select(m => $"{m.Value:N0} with {m.Key}"),
        Unit is null ? null : $"{Shortest} to {Longest} {Unit}, median {Median}",
        Width is null ? null : $"{Width} numbers per token",
        Encoder is null ? null : $"encoder {Encoder}",
        CaptionsHash is null ? null : $"captions {CaptionsHash[..Math.Min(12, CaptionsHash.Length)]}"]).Where(part => part is not null));
}
