namespace NextPatch.Torch.Kernels;

/// <summary>Products in float: panels in the order in which <see cref="PanelTile"/> reads them.</summary>
internal readonly unsafe struct SingleTiles : IProductTiles<Single32>
{
    private const int ColumnsAtOnce = 16;

    public static int Columns => PanelTile.Columns;

    public static int RowUnit => PanelTile.Rows;

    public static int DepthUnit => 1;

    /// <summary>A panel then takes 32 KiB of the first-level cache.</summary>
    public static int BlockDepth => 256;

    public static int LongestDepth => 1024;

    public static int LeftStride(int depth) => depth;

    public static void PackRight(MatrixView<Single32> right, Single32* panel) => MatrixPanels.Copy(right.As<float>().Transposed, Columns, (float*)panel);

    /// <returns>Panels of twelve rows, one after the other.</returns>
    public static (nint Start, nint Stride) PackLeft(MatrixView<Single32> left, Single32* room)
    {
        // A few columns at a time: where the rows' elements lie next to each other, all panels take from the same cache lines.
        var step = left.RowStride == 1 ? ColumnsAtOnce : left.Columns;
        for (var k = 0; k < left.Columns; k += step)
        {
            var columns = left.As<float>().SliceColumns(k, Math.Min(step, left.Columns - k));
            for (var row = 0; row < left.Rows; row += RowUnit)
            {
                MatrixPanels.Copy(columns.SliceRows(row, Math.Min(RowUnit, left.Rows - row)), RowUnit, (float*)room + (row * left.Columns) + (k * RowUnit));
            }
        }

        return ((nint)room, left.Columns * RowUnit);
    }

    public static void Multiply((int Rows, int Columns, int Depth) size, (nint Start, nint Stride) left, int k, Single32* panel, float* result, nint stride, bool add)
    {
        var edge = stackalloc float[PanelTile.Rows * PanelTile.Columns];
        for (var row = 0; row < size.Rows; row += RowUnit)
        {
            var rows = (float*)left.Start + (row / RowUnit * left.Stride) + (k * RowUnit);
            var to = result + (row * stride);
            var count = Math.Min(RowUnit, size.Rows - row);
            if (count == RowUnit && size.Columns == Columns)
            {
                PanelTile.Multiply(size.Depth, rows, (float*)panel, to, stride, add);
            }
            else
            {
                PanelTile.Multiply(size.Depth, rows, (float*)panel, edge, Columns, add: false);
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
