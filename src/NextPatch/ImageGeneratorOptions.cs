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
    /// How the transformer's weights are kept: <see cref="ComputePrecision.Bf16"/> halves, <see cref="ComputePrecision.Int8"/> quarters memory and
    /// time per code. With NextPatch.Torch bf16 is also the arithmetic, slow on processors without such instructions, and int8 does not exist.
    /// </summary>
    public ComputePrecision Precision { get; init; }

    /// <summary>What computes; null = C# alone (NextPatch.Cpu); NextPatch.Torch has another.</summary>
    public IComputeBackend? Backend { get; init; }
}
