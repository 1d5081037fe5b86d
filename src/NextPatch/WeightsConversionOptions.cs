using NextPatch.Core.Checkpoints;
using NextPatch.Core.Tensors;

namespace NextPatch;

/// <summary>How <see cref="WeightsConverter"/> writes.</summary>
public sealed record WeightsConversionOptions
{
    /// <summary>Which weights, where there is a choice: by default the EMA weights where there are any.</summary>
    public WeightsKind Weights { get; init; }

    /// <summary>Element type of floating-point tensors; null keeps each as it is.</summary>
    public ElementType? Type { get; init; }

    /// <summary>Folders only: most bytes of tensors in a file.</summary>
    public long MaxShardBytes { get; init; } = 5_000_000_000;

    /// <summary>Folders only: the tokenizer to put beside the model; null = the input's, where it has one.</summary>
    public string? Tokenizer { get; init; }

    /// <summary>Folders only: the licence that the model card names.</summary>
    public string? License { get; init; }
}
