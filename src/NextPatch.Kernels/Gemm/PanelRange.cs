namespace NextPatch.Kernels.Gemm;

/// <summary>A part of the weights of a unit (<see cref="PanelLayout"/>).</summary>
/// <typeparam name="T">The stored weights.</typeparam>
/// <param name="unit">The unit's panels.</param>
/// <param name="depth">K of the whole unit.</param>
/// <param name="first">Where in K the part begins.</param>
/// <param name="columns">Columns that are wanted; a whole tile is computed where one is.</param>
internal readonly unsafe struct PanelRange<T>(T* unit, int depth, int first, int columns)
    where T : unmanaged
{
    private readonly T* _start = unit + (first * PanelLayout.Columns);

    public readonly int Columns = columns;

    /// <summary>Distance of the two panels.</summary>
    public readonly nint PanelStride = (nint)depth * PanelLayout.Columns;

    /// <summary>Where a tile's weights begin.</summary>
    /// <param name="column">Its first column.</param>
    /// <param name="k">Counted from the beginning of the part.</param>
    public T* At(int column, int k)
        => _start + (column / PanelLayout.Columns * PanelStride) + (k * PanelLayout.Columns) + (column % PanelLayout.Columns);
}
