using System.Runtime.CompilerServices;
using NextPatch.Kernels.Simd;

namespace NextPatch.Kernels.Gemm;

/// <summary>
/// Small matrix products in float for attention, whose matrices fit a cache: result = left right, or added to it. Tiles of four rows keep their sums
/// in registers.
/// </summary>
/// <typeparam name="L">Columns computed at once; those that remain are done one by one.</typeparam>
internal static unsafe class SmallGemm<L>
    where L : unmanaged, ISimd<L>
{
    /// <param name="size">Rows and columns of the result, and the length of the sums.</param>
    /// <param name="left">Element (i, k) at i * leftRow + k * leftColumn, so that it may be a transposed view.</param>
    /// <param name="leftRow">See <paramref name="left"/>.</param>
    /// <param name="leftColumn">See <paramref name="left"/>.</param>
    /// <param name="right">Rows of <paramref name="rightRow"/> elements.</param>
    /// <param name="rightRow">Distance of rows.</param>
    /// <param name="result">Rows of <paramref name="resultRow"/> elements.</param>
    /// <param name="resultRow">Distance of rows.</param>
    /// <param name="add">Whether to add to the result.</param>
    public static void Multiply(
        (int Rows, int Columns, int Depth) size, float* left, nint leftRow, nint leftColumn, float* right, nint rightRow, float* result,
        nint resultRow, bool add)
    {
        var column = 0;
        if (L.Count == 16) // sixteen sums need more than the sixteen registers of processors with narrower vectors
        {
            for (; column <= size.Columns - (4 * L.Count); column += 4 * L.Count)
            {
                Rows<Tile4>(size.Rows, size.Depth, left, leftRow, leftColumn, right + column, rightRow, result + column, resultRow, add);
            }
        }

        for (; column <= size.Columns - (2 * L.Count); column += 2 * L.Count)
        {
            Rows<Tile2>(size.Rows, size.Depth, left, leftRow, leftColumn, right + column, rightRow, result + column, resultRow, add);
        }

        for (; column <= size.Columns - L.Count; column += L.Count)
        {
            Rows<Tile1>(size.Rows, size.Depth, left, leftRow, leftColumn, right + column, rightRow, result + column, resultRow, add);
        }

        if (column < size.Columns)
        {
            SmallGemm<Simd1>.Multiply(
                (size.Rows, size.Columns - column, size.Depth), left, leftRow, leftColumn, right + column, rightRow, result + column, resultRow, add);
        }
    }

    private static void Rows<TTile>(
        int rows, int depth, float* left, nint leftRow, nint leftColumn, float* right, nint rightRow, float* result, nint resultRow, bool add)
        where TTile : ITile
    {
        var i = 0;
        for (; i <= rows - 4; i += 4)
        {
            TTile.Four(depth, left + (i * leftRow), leftRow, leftColumn, right, rightRow, result + (i * resultRow), resultRow, add);
        }

        for (; i < rows; i++)
        {
            TTile.One(depth, left + (i * leftRow), leftColumn, right, rightRow, result + (i * resultRow), add);
        }
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void Put(float* to, L values, bool add) => L.Store(to, add ? values + L.Load(to) : values);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void Put(float* to, L v0, L v1, bool add)
    {
        Put(to, v0, add);
        Put(to + L.Count, v1, add);
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void Put(float* to, L v0, L v1, L v2, L v3, bool add)
    {
        Put(to, v0, v1, add);
        Put(to + (2 * L.Count), v2, v3, add);
    }

    private interface ITile
    {
        static abstract void Four(
            int depth, float* left, nint leftRow, nint leftColumn, float* right, nint rightRow, float* result, nint resultRow, bool add);

        static abstract void One(int depth, float* left, nint leftColumn, float* right, nint rightRow, float* result, bool add);
    }

    /// <summary>Four rows of four vectors: sixteen sums, twice what hides the latency of multiply-add.</summary>
    private readonly struct Tile4 : ITile
    {
        [MethodImpl(MethodImplOptions.AggressiveOptimization)]
        public static void Four(
            int depth, float* left, nint leftRow, nint leftColumn, float* right, nint rightRow, float* result, nint resultRow, bool add)
        {
            L a0 = default, a1 = default, a2 = default, a3 = default, b0 = default, b1 = default, b2 = default, b3 = default;
            L c0 = default, c1 = default, c2 = default, c3 = default, d0 = default, d1 = default, d2 = default, d3 = default;
            float* second = left + leftRow, third = left + (2 * leftRow), fourth = left + (3 * leftRow);
            for (var k = 0; k < depth; k++)
            {
                var (r0, r1, r2, r3) = (L.Load(right), L.Load(right + L.Count), L.Load(right + (2 * L.Count)), L.Load(right + (3 * L.Count)));
                var x = L.Create(*left);
                a0 = L.MultiplyAdd(x, r0, a0);
                a1 = L.MultiplyAdd(x, r1, a1);
                a2 = L.MultiplyAdd(x, r2, a2);
                a3 = L.MultiplyAdd(x, r3, a3);
                x = L.Create(*second);
                b0 = L.MultiplyAdd(x, r0, b0);
                b1 = L.MultiplyAdd(x, r1, b1);
                b2 = L.MultiplyAdd(x, r2, b2);
                b3 = L.MultiplyAdd(x, r3, b3);
                x = L.Create(*third);
                c0 = L.MultiplyAdd(x, r0, c0);
                c1 = L.MultiplyAdd(x, r1, c1);
                c2 = L.MultiplyAdd(x, r2, c2);
                c3 = L.MultiplyAdd(x, r3, c3);
                x = L.Create(*fourth);
                d0 = L.MultiplyAdd(x, r0, d0);
                d1 = L.MultiplyAdd(x, r1, d1);
                d2 = L.MultiplyAdd(x, r2, d2);
                d3 = L.MultiplyAdd(x, r3, d3);
                left += leftColumn;
                second += leftColumn;
                third += leftColumn;
                fourth += leftColumn;
                right += rightRow;
            }

            Put(result, a0, a1, a2, a3, add);
            Put(result + resultRow, b0, b1, b2, b3, add);
            Put(result + (2 * resultRow), c0, c1, c2, c3, add);
            Put(result + (3 * resultRow), d0, d1, d2, d3, add);
        }

        [MethodImpl(MethodImplOptions.AggressiveOptimization)]
        public static void One(int depth, float* left, nint leftColumn, float* right, nint rightRow, float* result, bool add)
        {
            L a0 = default, a1 = default, a2 = default, a3 = default;
            for (var k = 0; k < depth; k++, left += leftColumn, right += rightRow)
            {
                var x = L.Create(*left);
                a0 = L.MultiplyAdd(x, L.Load(right), a0);
                a1 = L.MultiplyAdd(x, L.Load(right + L.Count), a1);
                a2 = L.MultiplyAdd(x, L.Load(right + (2 * L.Count)), a2);
                a3 = L.MultiplyAdd(x, L.Load(right + (3 * L.Count)), a3);
            }

            Put(result, a0, a1, a2, a3, add);
        }
    }

    /// <summary>Four rows of two vectors: eight sums.</summary>
    private readonly struct Tile2 : ITile
    {
        [MethodImpl(MethodImplOptions.AggressiveOptimization)]
        public static void Four(
            int depth, float* left, nint leftRow, nint leftColumn, float* right, nint rightRow, float* result, nint resultRow, bool add)
        {
            L a0 = default, a1 = default, b0 = default, b1 = default, c0 = default, c1 = default, d0 = default, d1 = default;
            for (var k = 0; k < depth; k++, left += leftColumn, right += rightRow)
            {
                var (r0, r1) = (L.Load(right), L.Load(right + L.Count));
                var x = L.Create(*left);
                a0 = L.MultiplyAdd(x, r0, a0);
                a1 = L.MultiplyAdd(x, r1, a1);
                x = L.Create(left[leftRow]);
                b0 = L.MultiplyAdd(x, r0, b0);
                b1 = L.MultiplyAdd(x, r1, b1);
                x = L.Create(left[2 * leftRow]);
                c0 = L.MultiplyAdd(x, r0, c0);
                c1 = L.MultiplyAdd(x, r1, c1);
                x = L.Create(left[3 * leftRow]);
                d0 = L.MultiplyAdd(x, r0, d0);
                d1 = L.MultiplyAdd(x, r1, d1);
            }

            Put(result, a0, a1, add);
            Put(result + resultRow, b0, b1, add);
            Put(result + (2 * resultRow), c0, c1, add);
            Put(result + (3 * resultRow), d0, d1, add);
        }

        [MethodImpl(MethodImplOptions.AggressiveOptimization)]
        public static void One(int depth, float* left, nint leftColumn, float* right, nint rightRow, float* result, bool add)
        {
            L a0 = default, a1 = default;
            for (var k = 0; k < depth; k++, left += leftColumn, right += rightRow)
            {
                var x = L.Create(*left);
                a0 = L.MultiplyAdd(x, L.Load(right), a0);
                a1 = L.MultiplyAdd(x, L.Load(right + L.Count), a1);
            }

            Put(result, a0, a1, add);
        }
    }

    /// <summary>Four rows of one vector.</summary>
    private readonly struct Tile1 : ITile
    {
        [MethodImpl(MethodImplOptions.AggressiveOptimization)]
        public static void Four(
            int depth, float* left, nint leftRow, nint leftColumn, float* right, nint rightRow, float* result, nint resultRow, bool add)
        {
            L a = default, b = default, c = default, d = default;
            for (var k = 0; k < depth; k++, left += leftColumn, right += rightRow)
            {
                var r = L.Load(right);
                a = L.MultiplyAdd(L.Create(*left), r, a);
                b = L.MultiplyAdd(L.Create(left[leftRow]), r, b);
                c = L.MultiplyAdd(L.Create(left[2 * leftRow]), r, c);
                d = L.MultiplyAdd(L.Create(left[3 * leftRow]), r, d);
            }

            Put(result, a, add);
            Put(result + resultRow, b, add);
            Put(result + (2 * resultRow), c, add);
            Put(result + (3 * resultRow), d, add);
        }

        [MethodImpl(MethodImplOptions.AggressiveOptimization)]
        public static void One(int depth, float* left, nint leftColumn, float* right, nint rightRow, float* result, bool add)
        {
            L a = default;
            for (var k = 0; k < depth; k++, left += leftColumn, right += rightRow)
            {
                a = L.MultiplyAdd(L.Create(*left), L.Load(right), a);
            }

            Put(result, a, add);
        }
    }
}
