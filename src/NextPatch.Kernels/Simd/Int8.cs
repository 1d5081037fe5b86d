namespace NextPatch.Kernels.Simd;

/// <summary>Weights in whole numbers from -127 to 127, with scales that lie elsewhere (<see cref="Gemm.IntegerGemm{L}"/>).</summary>
internal readonly record struct Int8(sbyte Value);
