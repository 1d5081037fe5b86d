using NextPatch.Torch.Gpt;
using static TorchSharp.torch;

namespace NextPatch.Torch.Kernels;

/// <summary>A matrix in memory that somebody else keeps alive: element (i, j) lies at i * <see cref="RowStride"/> + j * <see cref="ColumnStride"/>.</summary>
internal readonly unsafe struct MatrixView
{
    /// <summary>Rows of <paramref name="rowStride"/> elements, of which <paramref name="columns"/> belong to the matrix.</summary>
    public MatrixView(float* start, int rows, int columns, nint rowStride)
        : this(start, rows, columns, rowStride, 1)
    {
    }

    private MatrixView(float* start, int rows, int columns, nint rowStride, nint columnStride)
    {
        Start = start;
        (Rows, Columns, RowStride, ColumnStride) = (rows, columns, rowStride, columnStride);
    }

    public float* Start { get; }

    public int Rows { get; }

    public int Columns { get; }

    public nint RowStride { get; }

    public nint ColumnStride { get; }

    /// <summary>The same memory, rows and columns exchanged.</summary>
    public MatrixView Transposed => new(Start, Columns, Rows, ColumnStride, RowStride);

    /// <param name="matrix">float32 [rows, columns], contiguous, on the CPU.</param>
    public static MatrixView Of(Tensor matrix) => Of((float*)Activation.AddressOf(matrix), matrix);

    /// <param name="start">Memory with the extents of <paramref name="matrix"/>.</param>
    /// <param name="matrix">[rows, columns].</param>
    public static MatrixView Of(float* start, Tensor matrix) => new(start, checked((int)matrix.size(0)), checked((int)matrix.size(1)), (nint)matrix.size(1));

    /// <summary>A part of the rows.</summary>
    public MatrixView SliceRows(int first, int count) => new(Start + (first * RowStride), count, Columns, RowStride, ColumnStride);

    /// <summary>A part of the columns.</summary>
    public MatrixView SliceColumns(int first, int count) => new(Start + (first * ColumnStride), Rows, count, RowStride, ColumnStride);
}
