namespace NextPatch.Kernels.Gemm;

/// <summary>The two panels of a unit in eight bits, and their scales (<see cref="PanelLayout"/>).</summary>
/// <param name="first">Weights of the first 32 columns, [pairs of k, 32, 2].</param>
/// <param name="second">Of the other 32.</param>
/// <param name="firstScales">[blocks of k, 32].</param>
/// <param name="secondScales">The same.</param>
internal readonly unsafe struct PanelPair(sbyte* first, sbyte* second, float* firstScales, float* secondScales)
{
    public readonly sbyte* First = first;
    public readonly sbyte* Second = second;
    public readonly float* FirstScales = firstScales;
    public readonly float* SecondScales = secondScales;
}
