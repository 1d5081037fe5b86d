namespace NextPatch.Core.Configuration;

/// <summary>Arithmetic of the matrix products in training; weights, moments, norms, softmax and loss are float32 always.</summary>
public enum ComputePrecision
{
    /// <summary>float32.</summary>
    Fp32,

    /// <summary>bfloat16 products: several times as fast where the processor has bf16 dot products, ten times slower where not.</summary>
    Bf16,
}
