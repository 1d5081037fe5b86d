using System.Runtime.CompilerServices;
using NextPatch.Kernels.Simd;
using NextPatch.Kernels.Threading;

namespace NextPatch.Kernels.Gemm;

// Shape letters: M and N rows and columns of the result, K length of the sums.

/// <summary>
/// Matrix products of one element type on several threads. The right factor is copied into panels that all threads share; each task takes some rows
/// of the left factor and passes them along the panels, while its part of the result stays in its cache.
/// </summary>
/// <remarks>The blocking follows Goto and van de Geijn, "Anatomy of High-Performance Matrix Multiplication" (2008). An element's sum is formed in the
/// same order whatever the number of threads.</remarks>
/// <typeparam name="T">The factors' elements.</typeparam>
/// <typeparam name="TTiles">Their layout.</typeparam>
internal static unsafe class BlockedGemm<T, TTiles>
    where T : unmanaged, IElement<T>
    where TTiles : IGemmTiles<T>
{
    /// <summary>Rows of a task: with 768 columns they stay in the second-level cache.</summary>
    private const int BlockRows = 144;

    /// <summary>Bytes of the right factor's panels that lie ready at once, in the last cache.</summary>
    internal const int PanelBytes = 8 << 20;

    /// <summary>Panels below which another task would only read the left factor once more.</summary>
    private const int FewestPanels = 8;

    [ThreadStatic]
    private static T[]? _leftBuffer;

    [ThreadStatic]
    private static T[]? _rightBuffer;

    [ThreadStatic]
    private static float[]? _sumBuffer;

    private static bool IsFloat<TResult>() => typeof(TResult) == typeof(Fp32);

    /// <summary>result = left right, or added to it.</summary>
    /// <param name="left">[M, K]; rows or columns lie next to each other.</param>
    /// <param name="right">[K, N]; the same.</param>
    /// <param name="result">[M, N], the elements of a row next to each other; overlaps neither factor.</param>
    /// <param name="add">Whether to add to the result, which must then be in float.</param>
    public static void Multiply<TResult>(MatrixView<T> left, MatrixView<T> right, MatrixView<TResult> result, bool add)
        where TResult : unmanaged, IElement<TResult>
    {
        if (!IsFloat<TResult>() && left.Columns > TTiles.LongestDepth)
        {
            var sums = new MatrixView<Fp32>((Fp32*)Buffer(ref _sumBuffer, result.Rows * result.Columns), result.Rows, result.Columns, result.Columns);
            Multiply(left, right, sums, add: false);
            ParallelRows.Run(result.Rows, result.Columns, (first, end) => Narrow((float*)sums.Start, sums.RowStride, first, end, result));
            return;
        }

        var mostColumns = PanelBytes / sizeof(T) / RoundUp(Math.Min(left.Columns, TTiles.LongestDepth), TTiles.DepthUnit) / TTiles.Columns
            * TTiles.Columns;
        var columns = RoundUp(Pieces(right.Columns, Pieces(right.Columns, mostColumns)), TTiles.Columns);
        for (var column = 0; column < right.Columns; column += columns)
        {
            var count = Math.Min(columns, right.Columns - column);
            for (var k = 0; k < left.Columns; k += TTiles.LongestDepth)
            {
                var depth = Math.Min(TTiles.LongestDepth, left.Columns - k);
                Block(left.SliceColumns(k, depth), right.SliceRows(k, depth).SliceColumns(column, count), result.SliceColumns(column, count),
                    add || k > 0);
            }
        }
    }

    private static void Block<TResult>(MatrixView<T> left, MatrixView<T> right, MatrixView<TResult> result, bool add)
        where TResult : unmanaged, IElement<TResult>
    {
        var depth = RoundUp(left.Columns, TTiles.DepthUnit);
        var panelCount = Pieces(right.Columns, TTiles.Columns);
        var panels = Buffer(ref _rightBuffer, panelCount * TTiles.Columns * depth);
        ParallelRows.Run(panelCount, (long)depth * TTiles.Columns, (first, end) =>
        {
            for (var panel = first; panel < end; panel++)
            {
                var column = panel * TTiles.Columns;
                TTiles.PackRight(right.SliceColumns(column, Math.Min(TTiles.Columns, right.Columns - column)), panels + ((nint)column * depth));
            }
        });

        // As many tasks for each thread; with few rows the columns are shared as well.
        var (threads, units) = (ParallelRows.CountThreads(), Pieces(left.Rows, TTiles.RowUnit));
        var blocks = Pieces(left.Rows, BlockRows);
        blocks = blocks < threads ? blocks : Math.Min(RoundUp(blocks, threads), units);
        var groups = Math.Clamp(Pieces(2 * threads, blocks), 1, Pieces(panelCount, FewestPanels));
        ParallelRows.Run(blocks * groups, (long)Pieces(left.Rows, blocks) * depth * Pieces(right.Columns, groups), (first, end) =>
        {
            for (var task = first; task < end; task++)
            {
                var (row, m) = Part(units, task / groups, blocks, TTiles.RowUnit, left.Rows);
                var (column, n) = Part(panelCount, task % groups, groups, TTiles.Columns, right.Columns);
                Rows(left.SliceRows(row, m), depth, panels + ((nint)column * depth), result.SliceRows(row, m).SliceColumns(column, n), add);
            }
        });
    }

    /// <summary>The rows of a task against panels of the right factor.</summary>
    private static void Rows<TResult>(MatrixView<T> left, int depth, T* panels, MatrixView<TResult> result, bool add)
        where TResult : unmanaged, IElement<TResult>
    {
        var rows = TTiles.PackLeft(left, Buffer(ref _leftBuffer, RoundUp(left.Rows, TTiles.RowUnit) * TTiles.LeftRoom(depth)), out var leftStride);
        var sums = stackalloc float[IsFloat<TResult>() ? 0 : left.Rows * TTiles.Columns];
        for (var column = 0; column < result.Columns; column += TTiles.Columns)
        {
            var part = result.SliceColumns(column, Math.Min(TTiles.Columns, result.Columns - column));
            var (to, stride) = IsFloat<TResult>() ? ((nint)part.Start, part.RowStride) : ((nint)sums, TTiles.Columns);
            for (var k = 0; k < depth; k += TTiles.BlockDepth)
            {
                var size = (part.Rows, part.Columns, Math.Min(TTiles.BlockDepth, depth - k));
                TTiles.Multiply(
                    size, rows + (k * TTiles.LeftStep), leftStride, panels + ((nint)column * depth) + (k * TTiles.Columns), (float*)to, stride,
                    add || k > 0);
            }

            if (!IsFloat<TResult>())
            {
                Narrow(sums, TTiles.Columns, 0, part.Rows, part);
            }
        }
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void Narrow<TResult>(float* sums, nint stride, int first, int end, MatrixView<TResult> result)
        where TResult : unmanaged, IElement<TResult>
    {
        for (var row = first; row < end; row++)
        {
            var from = sums + (row * stride);
            var to = result.Start + (row * result.RowStride);
            var column = 0;
            for (; column <= result.Columns - Simd16.Count; column += Simd16.Count)
            {
                TResult.Store(to + column, Simd16.Load(from + column));
            }

            for (; column < result.Columns; column++)
            {
                TResult.Store(to + column, Simd1.Load(from + column));
            }
        }
    }

    /// <summary>Memory of this thread, on a cache line's boundary; pinned, so that it stays there.</summary>
    private static TItem* Buffer<TItem>(ref TItem[]? buffer, int length)
        where TItem : unmanaged
    {
        const int line = 64;
        if (buffer is null || buffer.Length < length + (line / sizeof(TItem)))
        {
            buffer = GC.AllocateUninitializedArray<TItem>(length + (line / sizeof(TItem)), pinned: true);
        }

        return (TItem*)(((nint)Unsafe.AsPointer(ref buffer[0]) + line - 1) & ~(nint)(line - 1));
    }

    /// <summary>The share of one of <paramref name="parts"/> equal parts: first element and number of elements.</summary>
    private static (int First, int Count) Part(int units, int part, int parts, int unit, int whole)
    {
        var first = (int)((long)units * part / parts * unit);
        return (first, Math.Min((int)((long)units * (part + 1) / parts * unit), whole) - first);
    }

    private static int Pieces(int whole, int piece) => (whole + piece - 1) / piece;

    private static int RoundUp(int value, int unit) => Pieces(value, unit) * unit;
}
