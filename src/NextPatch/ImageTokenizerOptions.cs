using NextPatch.Core.Configuration;
using NextPatch.Core.Generation;

namespace NextPatch;

/// <summary>How <see cref="ImageTokenizer.Load(string, ImageTokenizerOptions?)"/> opens a tokenizer.</summary>
public sealed record ImageTokenizerOptions
{
    /// <summary>Pixels per side of the images; null = as it was trained, of a weights file 256.</summary>
    public int? ImageSize { get; init; }

    /// <summary>Arithmetic of the encoder; <see cref="ComputePrecision.Bf16"/> rounds to some other codes.</summary>
    public ComputePrecision Precision { get; init; }

    /// <summary>What computes; null = what lies beside the program, such as NextPatch.Torch.</summary>
    public IComputeBackend? Backend { get; init; }
}
