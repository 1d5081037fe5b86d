using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;

namespace NextPatch.Torch.Kernels;

/// <summary>Vectors that <see cref="MatrixTile"/> may use.</summary>
internal enum TileWidth
{
    Scalar,
    Bits256,
    Bits512,
}

/// <summary>
/// Small matrix products in float for attention, whose matrices fit a cache: result = left right, or added to it. Tiles of four rows keep their sums
/// in registers; the scalar form does what remains and is the plain twin.
/// </summary>
internal static unsafe class MatrixTile
{
    /// <summary>The widest this processor has.</summary>
    public static TileWidth Best { get; } = Vector512.IsHardwareAccelerated ? TileWidth.Bits512 : Vector256.IsHardwareAccelerated ? TileWidth.Bits256 : TileWidth.Scalar;

    /// <param name="size">Rows and columns of the result, and the length of the sums.</param>
    /// <param name="left">Element (i, k) at i * leftRow + k * leftColumn, so that it may be a transposed view.</param>
    /// <param name="leftRow">See <paramref name="left"/>.</param>
    /// <param name="leftColumn">See <paramref name="left"/>.</param>
    /// <param name="right">Rows of <paramref name="rightRow"/> elements.</param>
    /// <param name="rightRow">Distance of rows.</param>
    /// <param name="result">Rows of <paramref name="resultRow"/> elements.</param>
    /// <param name="resultRow">Distance of rows.</param>
    /// <param name="add">Whether to add to the result.</param>
    /// <param name="vectors">Vectors to use.</param>
    public static void Multiply((int Rows, int Columns, int Depth) size, float* left, nint leftRow, nint leftColumn, float* right, nint rightRow, float* result, nint resultRow, bool add, TileWidth vectors)
    {
        var column = 0;
        if (vectors == TileWidth.Bits512)
        {
            for (; column <= size.Columns - 64; column += 64)
            {
                Columns<Tile64>(size.Rows, size.Depth, left, leftRow, leftColumn, right + column, rightRow, result + column, resultRow, add);
            }

            for (; column <= size.Columns - 16; column += 16)
            {
                Columns<Tile16>(size.Rows, size.Depth, left, leftRow, leftColumn, right + column, rightRow, result + column, resultRow, add);
            }
        }
        else if (vectors == TileWidth.Bits256)
        {
            for (; column <= size.Columns - 16; column += 16)
            {
                Columns<Tile16Narrow>(size.Rows, size.Depth, left, leftRow, leftColumn, right + column, rightRow, result + column, resultRow, add);
            }
        }

        for (var i = 0; i < size.Rows; i++)
        {
            for (var j = column; j < size.Columns; j++)
            {
                var sum = add ? result[(i * resultRow) + j] : 0;
                for (var k = 0; k < size.Depth; k++)
                {
                    sum += left[(i * leftRow) + (k * leftColumn)] * right[(k * rightRow) + j];
                }

                result[(i * resultRow) + j] = sum;
            }
        }
    }

    private static void Columns<TTile>(int rows, int depth, float* left, nint leftRow, nint leftColumn, float* right, nint rightRow, float* result, nint resultRow, bool add)
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

    private interface ITile
    {
        static abstract void Four(int depth, float* left, nint leftRow, nint leftColumn, float* right, nint rightRow, float* result, nint resultRow, bool add);

        static abstract void One(int depth, float* left, nint leftColumn, float* right, nint rightRow, float* result, bool add);
    }

    /// <summary>Four rows of 64 columns: sixteen sums, twice what hides the latency of multiply-add.</summary>
    private readonly struct Tile64 : ITile
    {
        [MethodImpl(MethodImplOptions.AggressiveOptimization)]
        public static void Four(int depth, float* left, nint leftRow, nint leftColumn, float* right, nint rightRow, float* result, nint resultRow, bool add)
        {
            Vector512<float> a0 = default, a1 = default, a2 = default, a3 = default, b0 = default, b1 = default, b2 = default, b3 = default;
            Vector512<float> c0 = default, c1 = default, c2 = default, c3 = default, d0 = default, d1 = default, d2 = default, d3 = default;
            float* second = left + leftRow, third = left + (2 * leftRow), fourth = left + (3 * leftRow);
            for (var k = 0; k < depth; k++)
            {
                var (r0, r1, r2, r3) = (Vector512.Load(right), Vector512.Load(right + 16), Vector512.Load(right + 32), Vector512.Load(right + 48));
                var x = Vector512.Create(*left);
                a0 = Vector512.FusedMultiplyAdd(x, r0, a0);
                a1 = Vector512.FusedMultiplyAdd(x, r1, a1);
                a2 = Vector512.FusedMultiplyAdd(x, r2, a2);
                a3 = Vector512.FusedMultiplyAdd(x, r3, a3);
                x = Vector512.Create(*second);
                b0 = Vector512.FusedMultiplyAdd(x, r0, b0);
                b1 = Vector512.FusedMultiplyAdd(x, r1, b1);
                b2 = Vector512.FusedMultiplyAdd(x, r2, b2);
                b3 = Vector512.FusedMultiplyAdd(x, r3, b3);
                x = Vector512.Create(*third);
                c0 = Vector512.FusedMultiplyAdd(x, r0, c0);
                c1 = Vector512.FusedMultiplyAdd(x, r1, c1);
                c2 = Vector512.FusedMultiplyAdd(x, r2, c2);
                c3 = Vector512.FusedMultiplyAdd(x, r3, c3);
                x = Vector512.Create(*fourth);
                d0 = Vector512.FusedMultiplyAdd(x, r0, d0);
                d1 = Vector512.FusedMultiplyAdd(x, r1, d1);
                d2 = Vector512.FusedMultiplyAdd(x, r2, d2);
                d3 = Vector512.FusedMultiplyAdd(x, r3, d3);
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
            Vector512<float> a0 = default, a1 = default, a2 = default, a3 = default;
            for (var k = 0; k < depth; k++, left += leftColumn, right += rightRow)
            {
                var x = Vector512.Create(*left);
                a0 = Vector512.FusedMultiplyAdd(x, Vector512.Load(right), a0);
                a1 = Vector512.FusedMultiplyAdd(x, Vector512.Load(right + 16), a1);
                a2 = Vector512.FusedMultiplyAdd(x, Vector512.Load(right + 32), a2);
                a3 = Vector512.FusedMultiplyAdd(x, Vector512.Load(right + 48), a3);
            }

            Put(result, a0, a1, a2, a3, add);
        }

        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        private static void Put(float* to, Vector512<float> v0, Vector512<float> v1, Vector512<float> v2, Vector512<float> v3, bool add)
        {
            if (add)
            {
                v0 += Vector512.Load(to);
                v1 += Vector512.Load(to + 16);
                v2 += Vector512.Load(to + 32);
                v3 += Vector512.Load(to + 48);
            }

            v0.Store(to);
            v1.Store(to + 16);
            v2.Store(to + 32);
            v3.Store(to + 48);
        }
    }

    /// <summary>Four rows of 16 columns in vectors of 512 bits.</summary>
    private readonly struct Tile16 : ITile
    {
        [MethodImpl(MethodImplOptions.AggressiveOptimization)]
        public static void Four(int depth, float* left, nint leftRow, nint leftColumn, float* right, nint rightRow, float* result, nint resultRow, bool add)
        {
            Vector512<float> a = default, b = default, c = default, d = default;
            for (var k = 0; k < depth; k++, left += leftColumn, right += rightRow)
            {
                var r = Vector512.Load(right);
                a = Vector512.FusedMultiplyAdd(Vector512.Create(*left), r, a);
                b = Vector512.FusedMultiplyAdd(Vector512.Create(left[leftRow]), r, b);
                c = Vector512.FusedMultiplyAdd(Vector512.Create(left[2 * leftRow]), r, c);
                d = Vector512.FusedMultiplyAdd(Vector512.Create(left[3 * leftRow]), r, d);
            }

            Put(result, a, add);
            Put(result + resultRow, b, add);
            Put(result + (2 * resultRow), c, add);
            Put(result + (3 * resultRow), d, add);
        }

        [MethodImpl(MethodImplOptions.AggressiveOptimization)]
        public static void One(int depth, float* left, nint leftColumn, float* right, nint rightRow, float* result, bool add)
        {
            var a = Vector512<float>.Zero;
            for (var k = 0; k < depth; k++, left += leftColumn, right += rightRow)
            {
                a = Vector512.FusedMultiplyAdd(Vector512.Create(*left), Vector512.Load(right), a);
            }

            Put(result, a, add);
        }

        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        private static void Put(float* to, Vector512<float> v, bool add) => (add ? v + Vector512.Load(to) : v).Store(to);
    }

    /// <summary>Four rows of 16 columns in vectors of 256 bits: eight sums.</summary>
    private readonly struct Tile16Narrow : ITile
    {
        [MethodImpl(MethodImplOptions.AggressiveOptimization)]
        public static void Four(int depth, float* left, nint leftRow, nint leftColumn, float* right, nint rightRow, float* result, nint resultRow, bool add)
        {
            Vector256<float> a0 = default, a1 = default, b0 = default, b1 = default, c0 = default, c1 = default, d0 = default, d1 = default;
            for (var k = 0; k < depth; k++, left += leftColumn, right += rightRow)
            {
                var (r0, r1) = (Vector256.Load(right), Vector256.Load(right + 8));
                var x = Vector256.Create(*left);
                a0 = Vector256.FusedMultiplyAdd(x, r0, a0);
                a1 = Vector256.FusedMultiplyAdd(x, r1, a1);
                x = Vector256.Create(left[leftRow]);
                b0 = Vector256.FusedMultiplyAdd(x, r0, b0);
                b1 = Vector256.FusedMultiplyAdd(x, r1, b1);
                x = Vector256.Create(left[2 * leftRow]);
                c0 = Vector256.FusedMultiplyAdd(x, r0, c0);
                c1 = Vector256.FusedMultiplyAdd(x, r1, c1);
                x = Vector256.Create(left[3 * leftRow]);
                d0 = Vector256.FusedMultiplyAdd(x, r0, d0);
                d1 = Vector256.FusedMultiplyAdd(x, r1, d1);
            }

            Put(result, a0, a1, add);
            Put(result + resultRow, b0, b1, add);
            Put(result + (2 * resultRow), c0, c1, add);
            Put(result + (3 * resultRow), d0, d1, add);
        }

        [MethodImpl(MethodImplOptions.AggressiveOptimization)]
        public static void One(int depth, float* left, nint leftColumn, float* right, nint rightRow, float* result, bool add)
        {
            Vector256<float> a0 = default, a1 = default;
            for (var k = 0; k < depth; k++, left += leftColumn, right += rightRow)
            {
                var x = Vector256.Create(*left);
                a0 = Vector256.FusedMultiplyAdd(x, Vector256.Load(right), a0);
                a1 = Vector256.FusedMultiplyAdd(x, Vector256.Load(right + 8), a1);
            }

            Put(result, a0, a1, add);
        }

        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        private static void Put(float* to, Vector256<float> v0, Vector256<float> v1, bool add)
        {
            (add ? v0 + Vector256.Load(to) : v0).Store(to);
            (add ? v1 + Vector256.Load(to + 8) : v1).Store(to + 8);
        }
    }
}
