using NextPatch.Core.Tensors;

namespace NextPatch.Cli.Inspection;

/// <summary>What <c>info</c> finds. Fields that do not apply are null and left out of the JSON.</summary>
internal sealed record FileSummary
{
    /// <summary>checkpoint (a folder), run, tokenizer, codes, safetensors, pytorch, npz, npy or png.</summary>
    public required string Format { get; init; }

    /// <summary>The path that was described; for a run its newest checkpoint.</summary>
    public required string Path { get; init; }

    /// <summary>ema or model: which weights <see cref="Tensors"/> lists.</summary>
    public string? Weights { get; init; }

    public IReadOnlyList<TensorSummary>? Tensors { get; init; }

    /// <summary>Elements of all listed tensors.</summary>
    public long? ParameterCount { get; init; }

    /// <summary>Preset with these shapes; null where none has them or the file is no transformer.</summary>
    public string? Preset { get; init; }

    /// <summary>Optimiser steps done.</summary>
    public long? Step { get; init; }

    public IReadOnlyList<string>? ClassNames { get; init; }

    /// <summary>What a transformer is conditioned on where it is no class.</summary>
    public string? Condition { get; init; }

    /// <summary>Everything a .pt file holds, by key: tensors are counted, settings are shown.</summary>
    public IReadOnlyDictionary<string, object?>? Contents { get; init; }

    /// <summary>Names of the checkpoints of a run, oldest first.</summary>
    public IReadOnlyList<string>? Checkpoints { get; init; }

    /// <summary>Files of a folder with their sizes in bytes.</summary>
    public IReadOnlyDictionary<string, long>? Files { get; init; }

    /// <summary>Files that the sums of a checkpoint list and that are not there.</summary>
    public IReadOnlyList<string>? Missing { get; init; }

    /// <summary>Free text in the file: metadata of safetensors and PNG.</summary>
    public IReadOnlyDictionary<string, string>? Text { get; init; }

    /// <summary>The configuration beside the weights, or the manifest of codes.</summary>
    public object? Configuration { get; init; }
}

/// <summary>One tensor of a file, without its values.</summary>
/// <param name="Name">Its key.</param>
/// <param name="Shape">Extents, outermost first.</param>
/// <param name="Dtype">Element type in lower case: float32, uint16.</param>
internal sealed record TensorSummary(string Name, IReadOnlyList<long> Shape, string Dtype)
{
    public TensorSummary(string name, IReadOnlyList<long> shape, ElementType type)
        : this(name, shape, ElementTypes.NameOf(type))
    {
    }
}
