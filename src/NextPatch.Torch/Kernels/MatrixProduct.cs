using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using System.Runtime.Intrinsics.X86;
using static TorchSharp.torch;

namespace NextPatch.Torch.Kernels;

// Shape letters used in this file: M and N rows and columns of the result, K length of the sums.

/// <summary>
/// Matrix products in float for the linear maps, where libtorch's are slow: MKL, which it calls, runs AVX2 code on AMD processors even where they have
/// AVX-512 (docs/log.md). Blocks of both factors are copied into panels in the order in which <see cref="PanelTile"/> reads them, sized for the caches.
/// </summary>
/// <remarks>The blocking is that of Goto and van de Geijn, "Anatomy of High-Performance Matrix Multiplication" (2008). An element's sum is formed in the
/// same order whatever the number of threads.</remarks>
public static unsafe class MatrixProduct
{
    /// <summary>K of a block: a panel of the right factor (32 KiB) stays in the first-level cache while all rows pass it.</summary>
    private const int BlockDepth = 256;

    /// <summary>M of a block: its panels (144 KiB) stay in the second-level cache.</summary>
    private const int BlockRows = 12 * PanelTile.Rows;

    /// <summary>N of a block: its panels (2 MiB) are shared by all threads in the last cache.</summary>
    private const int BlockColumns = 64 * PanelTile.Columns;

    /// <summary>Columns below which another task would only copy the left factor once more.</summary>
    private const int FewestColumns = 8 * PanelTile.Columns;

    [ThreadStatic]
    private static float[]? _leftBuffer;

    [ThreadStatic]
    private static float[]? _rightBuffer;

    /// <summary>Whether this processor is one of those where libtorch's products are slower: AMD with AVX-512.</summary>
    public static bool IsPreferred { get; } = Vector512.IsHardwareAccelerated && X86Base.IsSupported && IsAmd();

    /// <summary>result = left right as the training pass computes it: here where that is preferred, else by libtorch.</summary>
    /// <param name="left">[M, K], contiguous or the transpose of a contiguous matrix.</param>
    /// <param name="right">[K, N], the same.</param>
    /// <param name="result">[M, N], contiguous, of the same type.</param>
    public static void Multiply(Tensor left, Tensor right, Tensor result)
    {
        if (IsPreferred && left.dtype == ScalarType.Float32)
        {
            Multiply(View(left), View(right), View(result), add: false);
        }
        else
        {
            result.addmm_(left, right, beta: 0f, alpha: 1f);
        }

        static MatrixView View(Tensor matrix)
        {
            using var transposed = matrix.t();
            return matrix.is_contiguous() ? MatrixView.Of(matrix) : MatrixView.Of(transposed).Transposed;
        }
    }

    /// <summary>result = left right, or added to it, on as many threads as libtorch uses.</summary>
    /// <param name="left">[M, K]; rows or columns lie next to each other.</param>
    /// <param name="right">[K, N]; the same.</param>
    /// <param name="result">[M, N], the elements of a row next to each other; overlaps neither factor.</param>
    /// <param name="add">Whether to add to the result.</param>
    internal static void Multiply(MatrixView left, MatrixView right, MatrixView result, bool add)
    {
        for (var column = 0; column < right.Columns; column += BlockColumns)
        {
            var columns = Math.Min(BlockColumns, right.Columns - column);
            for (var k = 0; k < left.Columns; k += BlockDepth)
            {
                var depth = Math.Min(BlockDepth, left.Columns - k);
                Block(left.SliceColumns(k, depth), right.SliceRows(k, depth).SliceColumns(column, columns), result.SliceColumns(column, columns), add || k > 0);
            }
        }
    }

    private static void Block(MatrixView left, MatrixView right, MatrixView result, bool add)
    {
        var depth = left.Columns;
        var panels = Buffer(ref _rightBuffer, BlockColumns * BlockDepth);
        RowSplit.Run(Pieces(right.Columns, PanelTile.Columns), depth * PanelTile.Columns, (first, end) =>
        {
            for (var panel = first; panel < end; panel++)
            {
                var column = panel * PanelTile.Columns;
                MatrixPanels.Copy(right.Transposed.SliceRows(column, Math.Min(PanelTile.Columns, right.Columns - column)), PanelTile.Columns, panels + (column * depth));
            }
        });

        // With few rows the columns are shared among threads as well.
        var blocks = Pieces(left.Rows, BlockRows);
        var rows = Pieces(Pieces(left.Rows, blocks), PanelTile.Rows) * PanelTile.Rows;
        var groups = Math.Clamp(Pieces(2 * get_num_threads(), blocks), 1, Pieces(right.Columns, FewestColumns));
        var columns = Pieces(Pieces(right.Columns, groups), PanelTile.Columns) * PanelTile.Columns;
        RowSplit.Run(blocks * groups, (long)rows * depth * columns, (first, end) =>
        {
            for (var task = first; task < end; task++)
            {
                var (row, column) = (task / groups * rows, task % groups * columns);
                if (row < left.Rows && column < right.Columns)
                {
                    var (m, n) = (Math.Min(rows, left.Rows - row), Math.Min(columns, right.Columns - column));
                    Part(left.SliceRows(row, m), panels + (column * depth), result.SliceRows(row, m).SliceColumns(column, n), add);
                }
            }
        });
    }

    /// <summary>The rows of a block against panels of the right factor.</summary>
    private static void Part(MatrixView left, float* right, MatrixView result, bool add)
    {
        var depth = left.Columns;
        var panels = Buffer(ref _leftBuffer, BlockRows * BlockDepth);
        for (var row = 0; row < left.Rows; row += PanelTile.Rows)
        {
            MatrixPanels.Copy(left.SliceRows(row, Math.Min(PanelTile.Rows, left.Rows - row)), PanelTile.Rows, panels + (row * depth));
        }

        var edge = stackalloc float[PanelTile.Rows * PanelTile.Columns];
        for (var column = 0; column < result.Columns; column += PanelTile.Columns)
        {
            for (var row = 0; row < left.Rows; row += PanelTile.Rows)
            {
                var to = result.Start + (row * result.RowStride) + column;
                var (m, n) = (Math.Min(PanelTile.Rows, left.Rows - row), Math.Min(PanelTile.Columns, result.Columns - column));
                if (m == PanelTile.Rows && n == PanelTile.Columns)
                {
                    PanelTile.Multiply(depth, panels + (row * depth), right + (column * depth), to, result.RowStride, add);
                }
                else
                {
                    PanelTile.Multiply(depth, panels + (row * depth), right + (column * depth), edge, PanelTile.Columns, add: false);
                    Put(edge, m, n, to, result.RowStride, add);
                }
            }
        }
    }

    private static void Put(float* tile, int rows, int columns, float* to, nint stride, bool add)
    {
        for (var i = 0; i < rows; i++)
        {
            for (var j = 0; j < columns; j++)
            {
                to[(i * stride) + j] = (add ? to[(i * stride) + j] : 0) + tile[(i * PanelTile.Columns) + j];
            }
        }
    }

    /// <summary>Memory of this thread, on a cache line's boundary; pinned, so that it stays there.</summary>
    private static float* Buffer(ref float[]? buffer, int length)
    {
        const int line = 16;
        buffer ??= GC.AllocateUninitializedArray<float>(length + line, pinned: true);
        var start = (nint)Unsafe.AsPointer(ref buffer[0]);
        return (float*)((start + (line * sizeof(float)) - 1) & ~(nint)((line * sizeof(float)) - 1));
    }

    private static int Pieces(int whole, int piece) => (whole + piece - 1) / piece;

    private static bool IsAmd()
    {
        var (_, ebx, ecx, edx) = X86Base.CpuId(0, 0);
        return (ebx, edx, ecx) == (0x68747541, 0x69746E65, 0x444D4163); // AuthenticAMD
    }
}
