using NextPatch.Data.Sources;
using NextPatch.Extraction;

namespace NextPatch;

/// <summary>What <see cref="CodeExtractor"/> did.</summary>
public sealed record CodeExtractionResult
{
    /// <summary>The folder of codes.</summary>
    public required string Output { get; init; }

    /// <summary>store or published.</summary>
    public required string Layout { get; init; }

    /// <summary>Images in the folder of codes.</summary>
    public required int Count { get; init; }

    /// <summary>How many of them, the last ones, are held out.</summary>
    public required int HeldOutCount { get; init; }

    /// <summary>Images left out because they could not be read.</summary>
    public required int SkippedCount { get; init; }

    /// <summary>The first thousand of them.</summary>
    public required IReadOnlyList<BadImage> Skipped { get; init; }

    /// <summary>Number of classes.</summary>
    public required int Classes { get; init; }

    /// <summary>Codes per side of a square.</summary>
    public required int GridSide { get; init; }

    /// <summary>Number of different codes.</summary>
    public required int VocabularySize { get; init; }

    /// <summary>Squares of each image.</summary>
    public required int Augmentations { get; init; }

    /// <summary>How they were cut.</summary>
    public required string CropPolicy { get; init; }

    /// <summary>SHA-256 of the tokenizer's weights.</summary>
    public required string TokenizerHash { get; init; }

    /// <summary>fp32 or bf16.</summary>
    public required string Precision { get; init; }

    /// <summary>Squares per call of the network.</summary>
    public required int BatchSize { get; init; }

    /// <summary>Images that an earlier run had done.</summary>
    public required int ResumedAt { get; init; }

    /// <summary>Wall time of this run from the first image on.</summary>
    public required double Seconds { get; init; }

    /// <summary>Of this run.</summary>
    public required double ImagesPerSecond { get; init; }

    /// <summary>What the processor's time went into; null where this run had nothing to do.</summary>
    public required ExtractionShares? Shares { get; init; }

    /// <summary>Largest resident memory of the process so far, in bytes.</summary>
    public required long PeakMemory { get; init; }
}
