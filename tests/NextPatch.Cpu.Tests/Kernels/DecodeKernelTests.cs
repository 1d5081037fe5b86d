using CsCheck;
using NextPatch.Core.Tensors;
using NextPatch.Cpu.Memory;
using NextPatch.Kernels.Attention;
using NextPatch.Kernels.Elementwise;
using NextPatch.Kernels.Gemm;
using NextPatch.Kernels.Simd;

namespace NextPatch.Cpu.Tests.Kernels;

/// <summary>Each kernel of generation with one lane against 4, 8 and 16, bit by bit, and against the formula in double.</summary>
public sealed unsafe class DecodeKernelTests
{
    private static readonly Gen<int> Depths = Gen.OneOf(Gen.Int[1, 40], Gen.Int[120, 140], Gen.Int[250, 400]);

    private static float[] Values(int count, uint seed) => [.. Enumerable.Range(0, count).Select(i => FormulaTensors.Value(seed, (uint)i))];

    [Fact]
    public void Products_have_the_same_bits_with_any_width_of_vectors_and_any_number_of_rows()
        => Gen.Select(Gen.Int[1, 8], Gen.Int[1, 130], Depths).Sample((rows, columns, depth) =>
        {
            AssertProduct<Fp32>(rows, columns, depth, weights => weights);
            AssertProduct<Bf16>(rows, columns, depth, weights => [.. weights.Select(v => BFloat16.ToSingle(BFloat16.FromSingle(v)))]);
            AssertProduct<Int8>(rows, columns, depth, weights => Quantized(weights, depth, 127), x => Quantized(x, depth, short.MaxValue));
        });

    /// <summary>A row with a value that is not finite must not come out as a result, wherever it stands.</summary>
    [Fact]
    public void Whole_numbers_do_not_hide_what_is_no_number()
    {
        const int outputs = 3, depth = 300;
        using var packed = new Packed<Int8>(Values(outputs * depth, 1), outputs, depth);
        foreach (var bad in new[] { float.NaN, float.PositiveInfinity, float.NegativeInfinity })
        {
            for (var k = 0; k < depth; k += 37)
            {
                var x = Values(depth, 2);
                x[k] = bad;
                Assert.All(packed.Multiply<Simd1>(x, 1), v => Assert.False(float.IsFinite(v)));
                Assert.All(packed.Multiply<Simd8>(x, 1), v => Assert.False(float.IsFinite(v)));
            }
        }
    }

    [Fact]
    public void Int8_loses_at_most_half_a_step_of_each_weight()
    {
        const int outputs = 3, depth = 300;
        var weights = Values(outputs * depth, 1);
        new Span<float>(weights, 0, PanelLayout.BlockDepth).Clear(); // a block of zeros
        weights[depth] = 40; // an outlier: spoils its own block only
        using var packed = new Packed<Int8>(weights, outputs, depth);
        for (var k = 0; k < depth; k++)
        {
            var x = new float[depth];
            x[k] = 1;
            var restored = packed.Multiply<Simd1>(x, 1);
            for (var n = 0; n < outputs; n++)
            {
                var block = weights.AsSpan(
                    (n * depth) + (k / PanelLayout.BlockDepth * PanelLayout.BlockDepth),
                    Math.Min(PanelLayout.BlockDepth, depth - (k / PanelLayout.BlockDepth * PanelLayout.BlockDepth)));
                var step = block.ToArray().Max(MathF.Abs) / 127;
                Assert.InRange(restored[n] - weights[(n * depth) + k], -0.5001f * step, 0.5001f * step);
            }
        }
    }

    [Fact]
    public void Two_matrices_share_units_panel_by_panel()
    {
        const int outputs = 40, depth = 20;
        var (first, second) = (Values(outputs * depth, 1), Values(outputs * depth, 2));
        using var memory = new AlignedMemory(2 * PackedMatrix<Fp32>.Room(outputs, depth));
        var packed = PackedMatrix<Fp32>.Pair(
            PackedMatrix<Fp32>.Pack(Tensor(first, outputs, depth), memory), PackedMatrix<Fp32>.Pack(Tensor(second, outputs, depth), memory));
        var result = new float[2 * PanelLayout.UnitColumns];
        fixed (float* px = Values(depth, 3), pr = result)
        {
            packed.Multiply<Simd1>(0, 1, px, depth, pr);
            packed.Multiply<Simd1>(1, 1, px, depth, pr + PanelLayout.UnitColumns);
        }

        Assert.Equal(2, packed.Units);
        Widths.AssertClose(Product(Values(depth, 3), first, 1, outputs, depth), [.. result[..32], .. result[64..72]], 1e-6);
        Widths.AssertClose(Product(Values(depth, 3), second, 1, outputs, depth), [.. result[32..64], .. result[96..104]], 1e-6);
        Assert.All(result[72..96], v => Assert.Equal(0, v));
    }

    [Theory]
    [InlineData(4, 1)]
    [InlineData(12, 31)]
    [InlineData(12, 33)]
    [InlineData(64, 100)]
    public void Attention_over_a_cache_has_the_same_bits_with_any_width_of_vectors_and_is_attention(int width, int positions)
    {
        var plain = Widths.AssertSame(new Attention<Fp32>(width, positions));
        Widths.AssertClose(Attention<Fp32>.Expected(width, positions), plain, 1e-5);
        Widths.AssertClose(plain, Widths.AssertSame(new Attention<Bf16>(width, positions)), 1e-2);
    }

    [Theory]
    [InlineData(1)]
    [InlineData(16)]
    [InlineData(37)]
    [InlineData(768)]
    public void Norm_has_the_same_bits_with_any_width_of_vectors_and_is_the_norm(int width)
    {
        var (x, weight) = (Values(width, 1), Values(width, 2));
        var inverse = 1 / Math.Sqrt((x.Sum(v => (double)v * v) / width) + 1e-5);
        Widths.AssertClose([.. x.Zip(weight, (v, w) => (float)(v * w * inverse))], Widths.AssertSame(new Norm(x, weight)), 1e-6);
    }

    [Fact]
    public void SwiGlu_has_the_same_bits_with_any_width_of_vectors_and_is_the_gate()
    {
        float[] gate = [.. Values(32, 1).Select(v => v * 20)], up = Values(32, 2);
        Widths.AssertClose([.. gate.Zip(up, (g, u) => (float)(g / (1 + Math.Exp(-(double)g)) * u))], Widths.AssertSame(new SwiGlu(gate, up)), 1e-6);
    }

    private static void AssertProduct<T>(
        int rows, int columns, int depth, Func<float[], float[]> stored, Func<float[], float[]>? rounded = null)
        where T : unmanaged
    {
        var (x, weights) = (Values(rows * depth, 1), Values(columns * depth, 2));
        using var packed = new Packed<T>(weights, columns, depth);
        var plain = Widths.AssertSame(new PackedProduct<T>(packed, x, rows));
        for (var row = 0; row < rows; row++)
        {
            var alone = packed.Multiply<Simd8>(x[(row * depth)..((row + 1) * depth)], 1);
            Widths.AssertSame(plain[(row * columns)..((row + 1) * columns)], alone);
        }

        Widths.AssertClose(Product(rounded?.Invoke(x) ?? x, stored(weights), rows, columns, depth), plain, 1e-5);
    }

    private static float[] Quantized(float[] matrix, int depth, int largest)
        => [.. matrix.Chunk(depth).SelectMany(row => row.Chunk(PanelLayout.BlockDepth)).SelectMany(block =>
        {
            var scale = block.Max(MathF.Abs) / largest;
            return block.Select(v => MathF.Round(v / scale) * scale);
        })];

    private static float[] Product(float[] x, float[] weights, int rows, int columns, int depth)
        => [.. Enumerable.Range(0, rows * columns).Select(
            i => (float)Enumerable.Range(0, depth).Sum(k => (double)x[(i / columns * depth) + k] * weights[(i % columns * depth) + k]))];

    private static StoredTensor Tensor(float[] values, int outputs, int depth) => StoredTensor.From(HostTensor.FromSingles([outputs, depth], values));

    private sealed class Packed<T> : IDisposable
        where T : unmanaged
    {
        private readonly AlignedMemory _memory;
        private readonly PackedMatrix<T> _matrix;
        private readonly int _columns;

        public Packed(float[] weights, int columns, int depth)
        {
            _columns = columns;
            _memory = new AlignedMemory(PackedMatrix<T>.Room(columns, depth));
            _matrix = PackedMatrix<T>.Pack(Tensor(weights, columns, depth), _memory);
        }

        public float[] Multiply<L>(float[] x, int rows)
            where L : unmanaged, ISimd<L>
        {
            var result = new float[rows * _columns];
            var tile = new float[rows * PanelLayout.UnitColumns];
            var whole = new byte[rows * IntegerRows.Bytes(_matrix.Depth)];
            fixed (float* px = x, pt = tile)
            fixed (byte* pw = whole)
            {
                for (var row = 0; row < rows; row++)
                {
                    IntegerRows.Quantize<L>(_matrix.Depth, px + (row * _matrix.Depth), pw + (row * IntegerRows.Bytes(_matrix.Depth)));
                }

                for (var unit = 0; unit < _matrix.Units; unit++)
                {
                    _matrix.Multiply<L>(unit, rows, PackedMatrix<T>.IsInteger ? pw : (byte*)px, _matrix.Depth, pt);
                    for (var i = 0; i < tile.Length; i++)
                    {
                        var column = (unit * PanelLayout.UnitColumns) + (i % PanelLayout.UnitColumns);
                        if (column < _columns)
                        {
                            result[(i / PanelLayout.UnitColumns * _columns) + column] = tile[i];
                        }
                    }
                }
            }

            return result;
        }

        public void Dispose() => _memory.Dispose();
    }

    private sealed class PackedProduct<T>(Packed<T> packed, float[] x, int rows) : IComputation
        where T : unmanaged
    {
        public float[] Run<L>()
            where L : unmanaged, ISimd<L> => packed.Multiply<L>(x, rows);
    }

    private sealed class Attention<T>(int width, int positions) : IComputation
        where T : unmanaged, IElement<T>
    {
        private const int Capacity = 110;

        public static float[] Expected(int width, int positions)
        {
            var (query, keys, values) = (Values(width, 1), Values(width * positions, 2), Values(width * positions, 3));
            var weights = Enumerable.Range(0, positions)
                .Select(p => Math.Exp(Enumerable.Range(0, width).Sum(d => (double)query[d] * keys[(p * width) + d]))).ToArray();
            return [.. Enumerable.Range(0, width).Select(
                d => (float)(Enumerable.Range(0, positions).Sum(p => weights[p] * values[(p * width) + d]) / weights.Sum()))];
        }

        public float[] Run<L>()
            where L : unmanaged, ISimd<L>
        {
            var (query, keys, values, scores) = (Values(width, 1), Values(width * positions, 2), Values(width * positions, 3), new float[128]);
            var (cache, mixed) = (new T[CachedAttention<L, T>.Elements(Capacity, width)], new float[CachedAttention<L, T>.Padded(width)]);
            fixed (float* pq = query, pk = keys, pv = values, ps = scores, pm = mixed)
            fixed (T* pc = cache)
            {
                for (var p = 0; p < positions; p++)
                {
                    CachedAttention<L, T>.Append(Capacity, width, p, pk + (p * width), pv + (p * width), pc);
                }

                CachedAttention<L, T>.Attend(Capacity, width, positions, pq, pc, ps, pm);
            }

            return mixed[..width];
        }
    }

    private sealed class Norm(float[] x, float[] weight) : IComputation
    {
        public float[] Run<L>()
            where L : unmanaged, ISimd<L>
        {
            var (padded, result) = (RowKernel<L>.Padded(x.Length), new float[RowKernel<L>.Padded(x.Length)]);
            Array.Resize(ref x, padded);
            Array.Resize(ref weight, padded);
            fixed (float* px = x, pw = weight, pr = result)
            {
                RowKernel<L>.Norm(_width, px, pw, 1e-5f, pr);
            }

            return result[.._width];
        }

        private readonly int _width = x.Length;
    }

    private sealed class SwiGlu(float[] gate, float[] up) : IComputation
    {
        public float[] Run<L>()
            where L : unmanaged, ISimd<L>
        {
            var hidden = new float[gate.Length];
            fixed (float* pg = gate, pu = up, ph = hidden)
            {
                RowKernel<L>.SwiGlu(gate.Length, pg, pu, ph);
            }

            return hidden;
        }
    }
}
