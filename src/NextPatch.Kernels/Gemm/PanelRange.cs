namespace NextPatch.Kernels.Gemm;

/// <summary>A part of the weights of a unit (<see cref="PanelLayout"/>).</summary>
/// <typeparam name="T">The stored weights.</typeparam>
/// <param name="panel">The unit's first panel.</param>
/// <param name="panelStride">Distance of the second one.</param>
/// <param name="first">Where in K the part begins.</param>
/// <param name="columns">Columns that are wanted; a whole tile is computed where one is.</param>
internal readonly unsafe struct PanelRange<T>(T* panel, nint panelStride, int first, int columns)
    where T : unmanaged
{
    private readonly T* _start = panel + (first * PanelLayout.Columns);

    public readonly int Columns = columns;

    /// <summary>Distance of the two panels.</summary>
    public readonly nint PanelStride = panelStride;

    /// <summary>Where a tile's weights begin.</summary>
    /// <param name="column">Its first column.</param>
    /// <param name="k">Counted from the beginning of the part.</param>
    public T* At(int column, int k)
        => _start + (column / PanelLayout.Columns * PanelStride) + (k * PanelLayout.Columns) + (column % PanelLayout.Columns);
}
