using NextPatch.Data.Sources;

namespace NextPatch.Cli.Extraction;

/// <summary>What <c>nextpatch encode</c> did; the JSON it writes.</summary>
internal sealed record EncodeSummary
{
    public required string Output { get; init; }

    public required string Layout { get; init; }

    /// <summary>Images in the folder of codes.</summary>
    public required int Count { get; init; }

    public required int HeldOutCount { get; init; }

    /// <summary>Images left out because they could not be read.</summary>
    public required int SkippedCount { get; init; }

    /// <summary>The first thousand of them.</summary>
    public required IReadOnlyList<BadImage> Skipped { get; init; }

    public required int Classes { get; init; }

    public required int GridSide { get; init; }

    public required int VocabularySize { get; init; }

    public required int Augmentations { get; init; }

    public required string CropPolicy { get; init; }

    public required string TokenizerHash { get; init; }

    public required string Precision { get; init; }

    public required int BatchSize { get; init; }

    /// <summary>Images that an earlier run had done.</summary>
    public required int ResumedAt { get; init; }

    /// <summary>Wall time of this run from the first image on.</summary>
    public required double Seconds { get; init; }

    /// <summary>Of this run.</summary>
    public required double ImagesPerSecond { get; init; }

    /// <summary>What the processor's time went into; null where this run had nothing to do.</summary>
    public required EncodeShares? Shares { get; init; }

    /// <summary>Largest resident memory, in bytes.</summary>
    public required long PeakMemory { get; init; }
}
