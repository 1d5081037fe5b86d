namespace NextPatch.Kernels.Gemm;

/// <summary>
/// A matrix in memory that somebody else keeps alive: element (i, j) lies at i * <see cref="RowStride"/> + j * <see cref="ColumnStride"/>.
/// </summary>
/// <typeparam name="T">Its elements.</typeparam>
internal readonly unsafe struct MatrixView<T>
    where T : unmanaged
{
    /// <summary>Rows of <paramref name="rowStride"/> elements, of which <paramref name="columns"/> belong to the matrix.</summary>
    public MatrixView(T* start, int rows, int columns, nint rowStride)
        : this(start, rows, columns, rowStride, 1)
    {
    }

    private MatrixView(T* start, int rows, int columns, nint rowStride, nint columnStride)
    {
        Start = start;
        (Rows, Columns, RowStride, ColumnStride) = (rows, columns, rowStride, columnStride);
    }

    public T* Start { get; }

    public int Rows { get; }

    public int Columns { get; }

    public nint RowStride { get; }

    public nint ColumnStride { get; }

    /// <summary>The same memory, rows and columns exchanged.</summary>
    public MatrixView<T> Transposed => new(Start, Columns, Rows, ColumnStride, RowStride);

    /// <summary>A part of the rows.</summary>
    public MatrixView<T> SliceRows(int first, int count) => new(Start + (first * RowStride), count, Columns, RowStride, ColumnStride);

    /// <summary>A part of the columns.</summary>
    public MatrixView<T> SliceColumns(int first, int count) => new(Start + (first * ColumnStride), Rows, count, RowStride, ColumnStride);

    /// <summary>The same memory under another name of its element type.</summary>
    public MatrixView<TOther> As<TOther>()
        where TOther : unmanaged => new((TOther*)Start, Rows, Columns, RowStride, ColumnStride);
}
