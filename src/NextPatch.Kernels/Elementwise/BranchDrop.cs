using NextPatch.Kernels.Simd;

namespace NextPatch.Kernels.Elementwise;

/// <summary>What happens to a residual branch in training: dropout of elements, and whole samples dropped (drop path).</summary>
/// <param name="Mask">Dropout of elements.</param>
/// <param name="SampleFactors">0 or 1 / (1 - probability) per sample; null = all stay.</param>
/// <param name="RowsPerSample">Tokens per image.</param>
internal readonly record struct BranchDrop(DropMask Mask, float[]? SampleFactors, int RowsPerSample)
{
    public float SampleFactor(int row) => SampleFactors is null ? 1 : SampleFactors[row / RowsPerSample];
}
