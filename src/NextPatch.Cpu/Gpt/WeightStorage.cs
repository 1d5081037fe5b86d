namespace NextPatch.Cpu.Gpt;

/// <summary>
/// How <see cref="Generation.CpuGenerationEngine"/> keeps the weights of products; it always computes in float. Time per code follows the bytes.
/// </summary>
public enum WeightStorage
{
    /// <summary>Four bytes; keys and values of the cache too.</summary>
    Float32,

    /// <summary>Two bytes, exact for weights that were saved so; keys, values and embeddings too.</summary>
    BFloat16,

    /// <summary>One byte, and a scale for every 128 weights of an output; keys, values and embeddings in bfloat16, norms in float.</summary>
    Int8,
}
