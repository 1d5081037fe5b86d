namespace NextPatch.Kernels.Gemm;

/// <summary>Rows of a left factor: runs of rows at one distance, as the pixels of some lines of an image are.</summary>
/// <param name="start">The first one.</param>
/// <param name="runs">Number of runs.</param>
/// <param name="runStride">Distance of runs.</param>
/// <param name="rows">Rows of a run.</param>
/// <param name="rowStride">Distance of rows.</param>
internal readonly unsafe struct RowSet(float* start, int runs, nint runStride, int rows, nint rowStride)
{
    public readonly float* Start = start;
    public readonly int Runs = runs;
    public readonly nint RunStride = runStride;
    public readonly int Rows = rows;
    public readonly nint RowStride = rowStride;
}
