using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics.X86;
using NextPatch.Kernels.Simd;

namespace NextPatch.Kernels.Gemm;

// Shape letters: R rows, K length of the sums.

/// <summary>
/// Products of a few rows with weights of a matrix that is read once for all of them: four vectors of columns and up to three rows keep their sums
/// in registers while the weights stream by and are widened to float.
/// </summary>
/// <remarks>
/// A column's sum takes its products one by one in the order of K, in one lane. So its bits depend neither on the number of rows nor on the width of
/// vectors nor on threads; where multiply-add rounds once (all but <see cref="Simd4"/> on x64 without FMA) they are the same on every processor.
/// </remarks>
/// <typeparam name="L">Columns computed at once.</typeparam>
/// <typeparam name="T">The stored weights.</typeparam>
internal static unsafe class SkinnyGemm<L, T>
    where L : unmanaged, ISimd<L>
    where T : unmanaged, ILoadable<T>
{
    /// <summary>Rows whose sums fit into sixteen registers beside four factors.</summary>
    private const int RowsAtOnce = 3;

    private const int CacheLine = 64;

    /// <summary>Bytes: some 60 to 15 steps of k ahead, a memory access away.</summary>
    private const int PrefetchDistance = 2048;

    private static int TileColumns => 4 * L.Count;

    /// <summary>result = x W for the columns of one unit (<see cref="PanelLayout"/>).</summary>
    /// <param name="rows">R.</param>
    /// <param name="depth">K.</param>
    /// <param name="weights">All of K of the unit.</param>
    /// <param name="x">[R, K].</param>
    /// <param name="stride">Distance of the rows of <paramref name="x"/>.</param>
    /// <param name="result">[R, <see cref="PanelLayout.UnitColumns"/>].</param>
    public static void Multiply(int rows, int depth, PanelRange<T> weights, float* x, nint stride, float* result)
        => Run(new RowSet(x, 1, 0, rows, stride), depth, weights, result, isNew: true);

    /// <summary>result += x W for a part of K, as a tap of a convolution is one.</summary>
    /// <param name="x">R rows.</param>
    /// <param name="depth">Length of the part.</param>
    /// <param name="weights">The unit's panels, and where in them the part begins.</param>
    /// <param name="result">[R, <see cref="PanelLayout.UnitColumns"/>].</param>
    public static void Accumulate(RowSet x, int depth, PanelRange<T> weights, float* result) => Run(x, depth, weights, result, isNew: false);

    [SkipLocalsInit]
    private static void Run(RowSet x, int depth, PanelRange<T> weights, float* result, bool isNew)
    {
        var isMany = x.Runs * x.Rows > RowsAtOnce;
        var isWidened = x.Runs * x.Rows > 2 * RowsAtOnce && typeof(T) != typeof(Fp32); // to widen twice costs as much
        var wide = stackalloc float[isWidened ? PanelLayout.BlockDepth * TileColumns : 0];
        var blockDepth = isMany ? PanelLayout.BlockDepth : depth;
        var third = TileColumns > PanelLayout.Columns ? weights.PanelStride : 2 * L.Count;
        for (var column = 0; column < weights.Columns; column += TileColumns)
        {
            for (var k = 0; k < depth; k += blockDepth)
            {
                var count = Math.Min(blockDepth, depth - k);
                var from = weights.At(column, k);
                if (isWidened)
                {
                    Widen(count, from, third, wide);
                }

                for (var run = 0; run < x.Runs; run++)
                {
                    float* start = x.Start + (run * x.RunStride) + k, sums = result + (run * x.Rows * PanelLayout.UnitColumns) + column;
                    if (isWidened)
                    {
                        Rows(x.Rows, count, (Fp32*)wide, TileColumns, 2 * L.Count, start, x.RowStride, sums, isNew && k == 0);
                    }
                    else
                    {
                        Rows(x.Rows, count, from, PanelLayout.Columns, third, start, x.RowStride, sums, isNew && k == 0);
                    }
                }
            }
        }
    }

    private static void Rows<TWeight>(int rows, int depth, TWeight* w, nint step, nint third, float* x, nint stride, float* sums, bool isNew)
        where TWeight : unmanaged, ILoadable<TWeight>
    {
        while (rows > 0)
        {
            var count = rows == 4 ? 2 : Math.Min(rows, RowsAtOnce); // two pairs pass faster than three and one
            switch (count)
            {
                case 3:
                    Three(depth, w, step, third, x, stride, sums, isNew);
                    break;
                case 2:
                    Two(depth, w, step, third, x, stride, sums, isNew);
                    break;
                default:
                    One(depth, w, step, third, x, sums, isNew);
                    break;
            }

            rows -= count;
            x += count * stride;
            sums += count * PanelLayout.UnitColumns;
        }
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void Widen(int depth, T* from, nint third, float* to)
    {
        for (var k = 0; k < depth; k++, from += PanelLayout.Columns, to += TileColumns)
        {
            Prefetch(from);
            L.Store(to, T.Load<L>(from));
            L.Store(to + L.Count, T.Load<L>(from + L.Count));
            L.Store(to + (2 * L.Count), T.Load<L>(from + third));
            L.Store(to + (3 * L.Count), T.Load<L>(from + third + L.Count));
        }
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void One<TWeight>(int depth, TWeight* w, nint step, nint third, float* x, float* sums, bool isNew)
        where TWeight : unmanaged, ILoadable<TWeight>
    {
        Begin(sums, isNew, out var a0, out var a1, out var a2, out var a3);
        for (nint k = 0; k < depth; k++, w += step)
        {
            Prefetch(w);
            var xa = L.Create(x[k]);
            a0 = L.MultiplyAdd(xa, TWeight.Load<L>(w), a0);
            a1 = L.MultiplyAdd(xa, TWeight.Load<L>(w + L.Count), a1);
            a2 = L.MultiplyAdd(xa, TWeight.Load<L>(w + third), a2);
            a3 = L.MultiplyAdd(xa, TWeight.Load<L>(w + third + L.Count), a3);
        }

        End(sums, a0, a1, a2, a3);
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void Two<TWeight>(int depth, TWeight* w, nint step, nint third, float* x, nint stride, float* sums, bool isNew)
        where TWeight : unmanaged, ILoadable<TWeight>
    {
        Begin(sums, isNew, out var a0, out var a1, out var a2, out var a3);
        Begin(sums + PanelLayout.UnitColumns, isNew, out var b0, out var b1, out var b2, out var b3);
        var second = x + stride;
        for (nint k = 0; k < depth; k++, w += step)
        {
            Prefetch(w);
            var (xa, xb) = (L.Create(x[k]), L.Create(second[k]));
            var v = TWeight.Load<L>(w);
            (a0, b0) = (L.MultiplyAdd(xa, v, a0), L.MultiplyAdd(xb, v, b0));
            v = TWeight.Load<L>(w + L.Count);
            (a1, b1) = (L.MultiplyAdd(xa, v, a1), L.MultiplyAdd(xb, v, b1));
            v = TWeight.Load<L>(w + third);
            (a2, b2) = (L.MultiplyAdd(xa, v, a2), L.MultiplyAdd(xb, v, b2));
            v = TWeight.Load<L>(w + third + L.Count);
            (a3, b3) = (L.MultiplyAdd(xa, v, a3), L.MultiplyAdd(xb, v, b3));
        }

        End(sums, a0, a1, a2, a3);
        End(sums + PanelLayout.UnitColumns, b0, b1, b2, b3);
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void Three<TWeight>(int depth, TWeight* w, nint step, nint third, float* x, nint stride, float* sums, bool isNew)
        where TWeight : unmanaged, ILoadable<TWeight>
    {
        Begin(sums, isNew, out var a0, out var a1, out var a2, out var a3);
        Begin(sums + PanelLayout.UnitColumns, isNew, out var b0, out var b1, out var b2, out var b3);
        Begin(sums + (2 * PanelLayout.UnitColumns), isNew, out var c0, out var c1, out var c2, out var c3);
        float* second = x + stride, third2 = second + stride;
        for (nint k = 0; k < depth; k++, w += step)
        {
            var (xa, xb, xc) = (L.Create(x[k]), L.Create(second[k]), L.Create(third2[k]));
            var v = TWeight.Load<L>(w);
            (a0, b0, c0) = (L.MultiplyAdd(xa, v, a0), L.MultiplyAdd(xb, v, b0), L.MultiplyAdd(xc, v, c0));
            v = TWeight.Load<L>(w + L.Count);
            (a1, b1, c1) = (L.MultiplyAdd(xa, v, a1), L.MultiplyAdd(xb, v, b1), L.MultiplyAdd(xc, v, c1));
            v = TWeight.Load<L>(w + third);
            (a2, b2, c2) = (L.MultiplyAdd(xa, v, a2), L.MultiplyAdd(xb, v, b2), L.MultiplyAdd(xc, v, c2));
            v = TWeight.Load<L>(w + third + L.Count);
            (a3, b3, c3) = (L.MultiplyAdd(xa, v, a3), L.MultiplyAdd(xb, v, b3), L.MultiplyAdd(xc, v, c3));
        }

        End(sums, a0, a1, a2, a3);
        End(sums + PanelLayout.UnitColumns, b0, b1, b2, b3);
        End(sums + (2 * PanelLayout.UnitColumns), c0, c1, c2, c3);
    }

    /// <summary>Asks for weights that come later: the processor alone does not read far enough ahead while it computes.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void Prefetch<TWeight>(TWeight* weights)
        where TWeight : unmanaged
    {
        if (Sse.IsSupported)
        {
            var later = (byte*)weights + PrefetchDistance;
            Sse.Prefetch0(later);
            if (sizeof(TWeight) * PanelLayout.Columns > CacheLine)
            {
                Sse.Prefetch0(later + CacheLine);
            }
        }
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void Begin(float* sums, bool isNew, out L v0, out L v1, out L v2, out L v3)
    {
        v0 = isNew ? default : L.Load(sums);
        v1 = isNew ? default : L.Load(sums + L.Count);
        v2 = isNew ? default : L.Load(sums + (2 * L.Count));
        v3 = isNew ? default : L.Load(sums + (3 * L.Count));
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void End(float* sums, L v0, L v1, L v2, L v3)
    {
        L.Store(sums, v0);
        L.Store(sums + L.Count, v1);
        L.Store(sums + (2 * L.Count), v2);
        L.Store(sums + (3 * L.Count), v3);
    }
}

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
