using NextPatch.Core.Checkpoints;
using NextPatch.Core.Configuration;
using NextPatch.Core.Generation;

namespace NextPatch;

/// <summary>How <see cref="ImageGenerator.Load(string, ImageGeneratorOptions?)"/> opens a model.</summary>
public sealed record ImageGeneratorOptions
{
    /// <summary>
    /// Tokenizer folder, or a weights file in the published layout (<c>vq_ds16_c2i.pt</c>); null = <c>tokenizer/</c> in or beside the run.
    /// </summary>
    public string? Tokenizer { get; init; }

    /// <summary>Which weights, where there is a choice: by default the EMA weights where there are any.</summary>
    public WeightsKind Weights { get; init; } = WeightsKind.Auto;

    /// <summary>Side of the images in pixels, 16 per code, for files that do not say it; null = 256.</summary>
    public int? ImageSize { get; init; }

    /// <summary>
    /// Arithmetic of the transformer: <see cref="ComputePrecision.Bf16"/> halves its memory, and is slow on processors without bf16 instructions.
    /// </summary>
    public ComputePrecision Precision { get; init; }

    /// <summary>What computes; null = what lies beside the program, such as NextPatch.Torch.</summary>
    public IComputeBackend? Backend { get; init; }
}
