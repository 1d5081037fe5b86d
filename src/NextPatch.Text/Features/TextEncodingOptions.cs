using NextPatch.Core.Tensors;
using NextPatch.Text.Encoders;

namespace NextPatch.Text.Features;

/// <summary>What <see cref="TextEncoding"/> does.</summary>
internal sealed record TextEncodingOptions
{
    /// <summary>.jsonl, .csv, .tsv, .txt, or a folder of .jsonl.</summary>
    public required string Captions { get; init; }

    /// <summary>Weights of a T5, or "formula".</summary>
    public required string Encoder { get; init; }

    /// <summary>The SentencePiece model; null for the one beside the weights.</summary>
    public string? Tokenizer { get; init; }

    /// <summary>What computes; null: C# alone.</summary>
    public Func<IReadOnlyDictionary<string, StoredTensor>, string, IT5Encoder>? Engine { get; init; }

    /// <summary>Folder; is made.</summary>
    public required string Output { get; init; }

    public FeatureLayout Layout { get; init; }

    public CaptionCleaning Clean { get; init; }

    /// <summary>Tokens that are kept of a caption, the end's among them.</summary>
    public int MaxTokens { get; init; } = 120;

    /// <summary>Which one, where a line lists several captions.</summary>
    public int CaptionIndex { get; init; }
}

/// <summary>How features lie in the folder.</summary>
internal enum FeatureLayout
{
    /// <summary>One file for all: <see cref="FeatureStore"/>.</summary>
    Store,

    /// <summary>A file per caption, as LlamaGen's.</summary>
    Published,
}

/// <summary>What happens to captions first.</summary>
internal enum CaptionCleaning
{
    /// <summary>What LlamaGen's went through.</summary>
    Published,

    /// <summary>Nothing.</summary>
    None,
}

/// <summary>What came of it. Counts are of all captions, whichever run encoded them.</summary>
internal sealed record TextEncodingResult
{
    public required string Output { get; init; }

    /// <summary>Name of the encoder.</summary>
    public required string Encoder { get; init; }

    /// <summary>Whether its weights come from a formula: nothing was learned.</summary>
    public bool IsFormula { get; init; }

    /// <summary>Numbers per token.</summary>
    public int Width { get; init; }

    /// <summary>Captions, the unusable ones among them.</summary>
    public int Count { get; set; }

    public int Encoded { get; set; }

    public long Tokens { get; set; }

    /// <summary>Captions longer than the limit.</summary>
    public int Cut { get; set; }

    /// <summary>Captions of which cleaning left nothing; they are encoded as empty ones.</summary>
    public int Emptied { get; set; }

    /// <summary>Why lines have no features, and how many.</summary>
    public SortedDictionary<string, int> Unusable { get; } = new(StringComparer.Ordinal);
}
