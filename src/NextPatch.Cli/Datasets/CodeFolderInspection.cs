using NextPatch.Data.Codes;

namespace NextPatch.Cli.Datasets;

/// <summary>Checks a folder of codes: every code, every label, the hashes of its files.</summary>
internal static class CodeFolderInspection
{
    public static DatasetSummary Describe(string path, CancellationToken cancellation)
    {
        using var store = CodeStore.Open(path);
        var counts = new int[store.Manifest.ClassNames.Count];
        var used = new bool[store.Manifest.VocabularySize];
        var codes = new int[store.CodesPerImage];
        for (var i = 0; i < store.Count; i++)
        {
            cancellation.ThrowIfCancellationRequested();
            counts[store.Label(i)]++;
            for (var variant = 0; variant < store.Augmentations; variant++)
            {
                store.ReadCodes(i, variant, codes);
                foreach (var code in codes)
                {
                    used[code] = true;
                }
            }
        }

        return new DatasetSummary
        {
            Name = store.Manifest.Name,
            Layout = store.IsPublishedLayout ? "published codes" : "code store",
            Count = store.Count,
            Classes = [.. store.Manifest.ClassNames.Select((name, label) => new DatasetSummary.ClassSummary(name, counts[label]))],
            Imbalance = DatasetInspection.Imbalance(counts),
            GridSide = store.Manifest.GridSide,
            VocabularySize = store.Manifest.VocabularySize,
            Augmentations = store.Augmentations,
            HeldOutCount = store.Manifest.HeldOutCount,
            CropPolicy = store.Manifest.CropPolicy,
            TokenizerHash = store.Manifest.TokenizerHash,
            CodebookUsage = used.Count(u => u) / (double)used.Length,
            Captions = CaptionInspection.OfCodes(store),
            HasHashes = store.Manifest.FileHashes is not null,
            ChangedFiles = store.FindChangedFiles(cancellation) ?? [],
        };
    }
}
