using NextPatch.Kernels.Simd;

namespace NextPatch.Kernels.Gemm;

/// <summary>Products in float: panels in the order in which <see cref="GemmMicroKernel"/> reads them.</summary>
internal readonly unsafe struct Fp32GemmTiles : IGemmTiles<Fp32>
{
    private const int ColumnsAtOnce = 16;

    public static int Columns => GemmMicroKernel.Columns;

    public static int RowUnit => GemmMicroKernel.Rows;

    public static int DepthUnit => 1;

    /// <summary>A panel then takes 32 KiB of the first-level cache.</summary>
    public static int BlockDepth => 256;

    public static int LongestDepth => 1024;

    public static int LeftStep => RowUnit;

    public static void PackRight(MatrixView<Fp32> right, Fp32* panel) => GemmPacking.Copy(right.As<float>().Transposed, Columns, (float*)panel);

    public static int LeftRoom(int depth) => depth;

    /// <returns>Panels of twelve rows, one after the other.</returns>
    public static Fp32* PackLeft(MatrixView<Fp32> left, Fp32* room, out nint stride)
    {
        // A few columns at a time: where the rows' elements lie next to each other, all panels take from the same cache lines.
        var step = left.RowStride == 1 ? ColumnsAtOnce : left.Columns;
        for (var k = 0; k < left.Columns; k += step)
        {
            var columns = left.As<float>().SliceColumns(k, Math.Min(step, left.Columns - k));
            for (var row = 0; row < left.Rows; row += RowUnit)
            {
                GemmPacking.Copy(
                    columns.SliceRows(row, Math.Min(RowUnit, left.Rows - row)), RowUnit, (float*)room + (row * left.Columns) + (k * RowUnit));
            }
        }

        stride = left.Columns * RowUnit;
        return room;
    }

    public static void Multiply(
        (int Rows, int Columns, int Depth) size, Fp32* left, nint leftStride, Fp32* right, float* result, nint stride, bool add)
    {
        var edge = stackalloc float[GemmMicroKernel.Rows * GemmMicroKernel.Columns];
        for (var row = 0; row < size.Rows; row += RowUnit)
        {
            var rows = (float*)left + (row / RowUnit * leftStride);
            var to = result + (row * stride);
            var count = Math.Min(RowUnit, size.Rows - row);
            if (count == RowUnit && size.Columns == Columns)
            {
                GemmMicroKernel.Multiply(size.Depth, rows, (float*)right, to, stride, add);
            }
            else
            {
                GemmMicroKernel.Multiply(size.Depth, rows, (float*)right, edge, Columns, add: false);
                Put(edge, count, size.Columns, to, stride, add);
            }
        }
    }

    private static void Put(float* tile, int rows, int columns, float* to, nint stride, bool add)
    {
        for (var i = 0; i < rows; i++)
        {
            for (var j = 0; j < columns; j++)
            {
                to[(i * stride) + j] = (add ? to[(i * stride) + j] : 0) + tile[(i * Columns) + j];
            }
        }
    }
}
