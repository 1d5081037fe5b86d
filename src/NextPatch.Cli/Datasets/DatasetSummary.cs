using NextPatch.Data.Sources;

namespace NextPatch.Cli.Datasets;

/// <summary>What <c>nextpatch dataset inspect</c> says; the JSON it writes.</summary>
internal sealed record DatasetSummary
{
    public required string Name { get; init; }

    public required string Layout { get; init; }

    /// <summary>Images (of the training part, where there are two).</summary>
    public int? Count { get; init; }

    public IReadOnlyList<ClassSummary>? Classes { get; init; }

    /// <summary>Captions, where there are any.</summary>
    public CaptionSummary? Captions { get; init; }

    /// <summary>Images of the largest class divided by those of the smallest.</summary>
    public double? Imbalance { get; init; }

    public ImageSizes? Sizes { get; init; }

    public int? BadCount { get; init; }

    public IReadOnlyList<BadFile>? Bad { get; init; }

    /// <summary>What lies beside the images and is not used, by reason.</summary>
    public IReadOnlyList<LeftOutFiles>? LeftOut { get; init; }

    /// <summary>The part that the data keeps apart.</summary>
    public DatasetSummary? Test { get; init; }

    public int? GridSide { get; init; }

    public int? VocabularySize { get; init; }

    public int? Augmentations { get; init; }

    public int? HeldOutCount { get; init; }

    public string? CropPolicy { get; init; }

    public string? TokenizerHash { get; init; }

    /// <summary>Share of the vocabulary that occurs.</summary>
    public double? CodebookUsage { get; init; }

    /// <summary>Whether the manifest records hashes of the files.</summary>
    public bool? HasHashes { get; init; }

    /// <summary>Files that are not what the manifest's hashes say.</summary>
    public IReadOnlyList<string>? ChangedFiles { get; init; }

    internal sealed record ClassSummary(string Name, int Count);

    internal sealed record BadFile(string Path, string Reason);

    internal sealed record SizeCount(int Width, int Height, int Count);

    /// <param name="Distinct">Different sizes.</param>
    /// <param name="SmallestSide">Smallest width or height.</param>
    /// <param name="LargestSide">Largest width or height.</param>
    /// <param name="MedianWidth">Half of the images are at most as wide.</param>
    /// <param name="MedianHeight">Half of the images are at most as high.</param>
    /// <param name="MostFrequent">Up to five, most frequent first.</param>
    internal sealed record ImageSizes(
        int Distinct, int SmallestSide, int LargestSide, int MedianWidth, int MedianHeight, IReadOnlyList<SizeCount> MostFrequent);
}
