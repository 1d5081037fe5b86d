using NextPatch.Cpu.Memory;

namespace NextPatch.Cpu.Gpt;

/// <summary>The weights of one block.</summary>
/// <typeparam name="T">The weights of products.</typeparam>
internal sealed unsafe class GptLayer<T>
    where T : unmanaged
{
    /// <summary>[padded C].</summary>
    public required float* AttentionNorm { get; init; }

    /// <summary>Queries, keys, values, [(H + 2K) D, C].</summary>
    public required PackedMatrix<T> Qkv { get; init; }

    /// <summary>[C, H D].</summary>
    public required PackedMatrix<T> Output { get; init; }

    /// <summary>[padded C].</summary>
    public required float* FeedForwardNorm { get; init; }

    /// <summary>Panels of gate and up in turn, [2 F, C].</summary>
    public required PackedMatrix<T> GateUp { get; init; }

    /// <summary>[C, F].</summary>
    public required PackedMatrix<T> Down { get; init; }
}
