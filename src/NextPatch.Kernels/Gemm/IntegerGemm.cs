using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics.X86;
using NextPatch.Kernels.Simd;

namespace NextPatch.Kernels.Gemm;

// Shape letters: R rows, K length of the sums.

/// <summary>
/// Products of rows in sixteen bits (<see cref="IntegerRows"/>) with weights in eight, which are read once for all rows: pairs of products are added
/// up in 32 bits, and every <see cref="PanelLayout.BlockDepth"/> of k the sums are scaled and added in float.
/// </summary>
/// <remarks>
/// Whole numbers are exact, 128 * 127 * 32767 fits, and blocks are added in the order of K: bits depend neither on the number of rows nor on the
/// width of vectors nor on threads. Fewer instructions than to widen weights to float, so that memory need not wait for arithmetic; the rows'
/// rounding is below a hundredth of the weights'.
/// </remarks>
/// <typeparam name="L">Columns computed at once.</typeparam>
internal static unsafe class IntegerGemm<L>
    where L : unmanaged, ISimd<L>
{
    private const int BlockPairs = PanelLayout.BlockDepth / 2;

    /// <summary>Bytes of a pair of k in a panel.</summary>
    private const int PairBytes = 2 * PanelLayout.Columns;

    /// <summary>More rows widen a block of weights once, into the first-level cache.</summary>
    private const int MostUnwidened = 4;

    /// <summary>Bytes: some 30 steps of k ahead, a memory access away.</summary>
    private const int PrefetchDistance = 2048;

    private static int TileColumns => 4 * L.Count;

    /// <summary>result = x W for the columns of one unit.</summary>
    /// <param name="rows">R.</param>
    /// <param name="depth">K.</param>
    /// <param name="weights">The unit.</param>
    /// <param name="x">[R], each <see cref="IntegerRows.Bytes"/>.</param>
    /// <param name="result">[R, <see cref="PanelLayout.UnitColumns"/>].</param>
    [SkipLocalsInit]
    public static void Multiply(int rows, int depth, PanelPair weights, byte* x, float* result)
    {
        var isWidened = rows > MostUnwidened;
        var wide = stackalloc byte[isWidened ? BlockPairs * Widened.Step : 0];
        var stride = IntegerRows.Bytes(depth);
        var scales = (byte*)IntegerRows.Scales(x, depth);
        // The third vector of a tile lies in the other panel, if the tile is as wide as both.
        var isBoth = TileColumns > PanelLayout.Columns;
        var third = isBoth ? (nint)(weights.Second - weights.First) : 4 * L.Count;
        var thirdScale = isBoth ? (nint)(weights.SecondScales - weights.FirstScales) : 2 * L.Count;
        new Span<float>(result, rows * PanelLayout.UnitColumns).Clear();
        for (var column = 0; column < PanelLayout.UnitColumns; column += TileColumns)
        {
            var (isSecond, within) = (column >= PanelLayout.Columns, column % PanelLayout.Columns);
            var panel = (isSecond ? weights.Second : weights.First) + (2 * within);
            var scale = (isSecond ? weights.SecondScales : weights.FirstScales) + within;
            for (var k = 0; k < depth; k += PanelLayout.BlockDepth, panel += BlockPairs * PairBytes, scale += PanelLayout.Columns)
            {
                var pairs = (Math.Min(PanelLayout.BlockDepth, depth - k) + 1) / 2;
                var values = x + (k * sizeof(short));
                var toScale = (nint)(scales - values) + (k / PanelLayout.BlockDepth * sizeof(float));
                var block = new Block(pairs, values, stride, toScale, scale, thirdScale);
                if (isWidened)
                {
                    Widen(pairs, panel, third, wide);
                    var next = (byte*)(panel + (BlockPairs * PairBytes));
                    Rows<Widened>(rows, block, wide, 2 * Widened.Vector, result + column, new NextBlock(next, isBoth ? next + third : null, rows));
                }
                else
                {
                    Rows<Packed>(rows, block, (byte*)panel, third, result + column, default);
                }
            }
        }
    }

    private static void Rows<TWeights>(int rows, Block block, byte* w, nint third, float* result, NextBlock next)
        where TWeights : struct, IWeights
    {
        var x = block.X;
        for (var two = 0; rows >= 2; two++, rows -= 2, x += 2 * block.Stride, result += 2 * PanelLayout.UnitColumns)
        {
            Two<TWeights>(block, w, third, x, result, next.Share(two), next.Step);
        }

        if (rows > 0)
        {
            One<TWeights>(block, w, third, x, result);
        }
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void Widen(int pairs, sbyte* from, nint third, byte* to)
    {
        for (var pair = 0; pair < pairs; pair++, from += PairBytes, to += Widened.Step)
        {
            L.Store((float*)to, L.LoadPairs(from));
            L.Store((float*)to + L.Count, L.LoadPairs(from + (2 * L.Count)));
            L.Store((float*)to + (2 * L.Count), L.LoadPairs(from + third));
            L.Store((float*)to + (3 * L.Count), L.LoadPairs(from + third + (2 * L.Count)));
        }
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void One<TWeights>(Block block, byte* w, nint third, byte* x, float* result)
        where TWeights : struct, IWeights
    {
        L a0 = default, a1 = default, a2 = default, a3 = default;
        for (nint pair = 0; pair < block.Pairs; pair++, w += TWeights.Step)
        {
            TWeights.Prefetch(w, null);
            var xa = L.Create(((float*)x)[pair]); // the bits of two numbers
            a0 = L.MultiplyAddPairs(TWeights.Load(w), xa, a0);
            a1 = L.MultiplyAddPairs(TWeights.Load(w + TWeights.Vector), xa, a1);
            a2 = L.MultiplyAddPairs(TWeights.Load(w + third), xa, a2);
            a3 = L.MultiplyAddPairs(TWeights.Load(w + third + TWeights.Vector), xa, a3);
        }

        Put(block, x, result, a0, a1, a2, a3);
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void Two<TWeights>(Block block, byte* w, nint third, byte* x, float* result, byte* next, nint step)
        where TWeights : struct, IWeights
    {
        L a0 = default, a1 = default, a2 = default, a3 = default, b0 = default, b1 = default, b2 = default, b3 = default;
        var second = x + block.Stride;
        for (nint pair = 0; pair < block.Pairs; pair++, w += TWeights.Step)
        {
            TWeights.Prefetch(w, next + (pair * step));
            var (xa, xb) = (L.Create(((float*)x)[pair]), L.Create(((float*)second)[pair]));
            var v = TWeights.Load(w);
            (a0, b0) = (L.MultiplyAddPairs(v, xa, a0), L.MultiplyAddPairs(v, xb, b0));
            v = TWeights.Load(w + TWeights.Vector);
            (a1, b1) = (L.MultiplyAddPairs(v, xa, a1), L.MultiplyAddPairs(v, xb, b1));
            v = TWeights.Load(w + third);
            (a2, b2) = (L.MultiplyAddPairs(v, xa, a2), L.MultiplyAddPairs(v, xb, b2));
            v = TWeights.Load(w + third + TWeights.Vector);
            (a3, b3) = (L.MultiplyAddPairs(v, xa, a3), L.MultiplyAddPairs(v, xb, b3));
        }

        Put(block, x, result, a0, a1, a2, a3);
        Put(block, second, result + PanelLayout.UnitColumns, b0, b1, b2, b3);
    }

    /// <summary>Adds a block's sums, scaled.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void Put(Block block, byte* x, float* result, L v0, L v1, L v2, L v3)
    {
        var factor = L.Create(*(float*)(x + block.ToScale));
        float* scale = block.Scales, other = scale + block.ThirdScale;
        L.Store(result, L.MultiplyAdd(L.FromWhole(v0), L.Load(scale) * factor, L.Load(result)));
        result += L.Count;
        L.Store(result, L.MultiplyAdd(L.FromWhole(v1), L.Load(scale + L.Count) * factor, L.Load(result)));
        result += L.Count;
        L.Store(result, L.MultiplyAdd(L.FromWhole(v2), L.Load(other) * factor, L.Load(result)));
        result += L.Count;
        L.Store(result, L.MultiplyAdd(L.FromWhole(v3), L.Load(other + L.Count) * factor, L.Load(result)));
    }

    /// <summary>Four vectors of weights for a pair of k.</summary>
    private interface IWeights
    {
        /// <summary>Bytes from pair to pair.</summary>
        static abstract int Step { get; }

        /// <summary>Bytes from vector to vector.</summary>
        static abstract int Vector { get; }

        static abstract L Load(byte* from);

        /// <summary>Asks for weights that come later: the processor alone does not read far enough ahead while it computes.</summary>
        /// <param name="weights">Those that are multiplied now.</param>
        /// <param name="next">A part of the next block, or null.</param>
        static abstract void Prefetch(byte* weights, byte* next);
    }

    /// <summary>As they are stored.</summary>
    private readonly struct Packed : IWeights
    {
        public static int Step => PairBytes;

        public static int Vector => 2 * L.Count;

        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public static L Load(byte* from) => L.LoadPairs((sbyte*)from);

        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public static void Prefetch(byte* weights, byte* next)
        {
            if (Sse.IsSupported)
            {
                Sse.Prefetch0(weights + PrefetchDistance);
            }
        }
    }

    /// <summary>Of a tile, in sixteen bits.</summary>
    private readonly struct Widened : IWeights
    {
        public static int Step => 4 * Vector;

        public static int Vector => L.Count * sizeof(float);

        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public static L Load(byte* from) => L.Load((float*)from);

        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public static void Prefetch(byte* weights, byte* next)
        {
            if (Sse.IsSupported)
            {
                Sse.Prefetch0(next);
            }
        }
    }

    /// <summary>The weights that are widened after those at hand: every pair of rows asks for its share of them while it computes.</summary>
    /// <param name="first">In the panel at hand.</param>
    /// <param name="second">In the other panel, if the tile is as wide as both; else null.</param>
    /// <param name="rows">R.</param>
    private readonly struct NextBlock(byte* first, byte* second, int rows)
    {
        private const int Bytes = BlockPairs * PairBytes; // of a panel

        private readonly int _share = (second == null ? 1 : 2) * Bytes / (rows / 2);

        /// <summary>Bytes from pair of k to pair of k.</summary>
        public nint Step => _share / BlockPairs;

        /// <param name="two">Which pair of rows.</param>
        public byte* Share(int two) => two * _share < Bytes ? first + (two * _share) : second + ((two * _share) - Bytes);
    }

    /// <summary>A block of k of all rows and of a tile of columns.</summary>
    /// <param name="pairs">Pairs of k.</param>
    /// <param name="x">The rows' values of this block.</param>
    /// <param name="stride">Bytes from row to row.</param>
    /// <param name="toScale">Bytes from a row's values to its scale.</param>
    /// <param name="scales">Of the columns.</param>
    /// <param name="thirdScale">Distance of those of the third vector.</param>
    private readonly struct Block(int pairs, byte* x, nint stride, nint toScale, float* scales, nint thirdScale)
    {
        public readonly int Pairs = pairs;
        public readonly byte* X = x;
        public readonly nint Stride = stride;
        public readonly nint ToScale = toScale;
        public readonly float* Scales = scales;
        public readonly nint ThirdScale = thirdScale;
    }
}
