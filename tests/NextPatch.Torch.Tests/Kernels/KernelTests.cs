using System.Runtime.Intrinsics;
using CsCheck;
using NextPatch.Kernels.Attention;
using NextPatch.Kernels.Elementwise;
using NextPatch.Kernels.Gemm;
using NextPatch.Kernels.Simd;
using NextPatch.Torch.Loading;
using static TorchSharp.torch;

namespace NextPatch.Torch.Tests.Kernels;

/// <summary>
/// Each kernel with vectors against itself with one lane, at widths that vectors do and do not divide; models with automatic gradients judge the
/// formulas (FusedGptTests).
/// </summary>
public sealed unsafe class KernelTests
{
    public KernelTests() => NativeBackend.EnsureLoaded(); // rows are shared among as many threads as libtorch has

    public static TheoryData<int> Widths => [1, 7, 8, 24, 37, 130];

    [Fact]
    public void Exponential_is_exact_to_two_units_with_any_number_of_lanes()
        => Gen.Float[-87, 88].Array[16].Sample(x =>
        {
            var results = OfEachWidth(x, new ExponentialOf());
            Assert.All(results, r => Assert.Equal(results[0], r));
            Assert.All(results[0].Zip(x), p => Assert.InRange((p.First / Math.Exp(p.Second)) - 1, -3e-7, 3e-7));
        });

    [Fact]
    public void Exponential_passes_nan_on_and_never_overflows()
        => Assert.All(
            OfEachWidth(
            [.. Enumerable.Range(0, 4).SelectMany(_ => (float[])[float.NaN, float.PositiveInfinity, float.NegativeInfinity, 0])],
            new ExponentialOf()), results =>
        {
            Assert.True(float.IsNaN(results[4]));
            Assert.True(float.IsFinite(results[5]));
            Assert.InRange(results[6], 0, 2e-38f);
            Assert.Equal(1, results[7]);
        });

    [Fact]
    public void Bf16_rounds_as_libtorch_and_comes_back()
        => Gen.Float.Array[16].Sample(x =>
        {
            using var floats = tensor(x);
            using var rounded = floats.to(ScalarType.BFloat16);
            using var back = rounded.to(ScalarType.Float32);
            Assert.All(OfEachWidth(x, new ThroughBFloat16()), results => Assert.Equal(back.data<float>().ToArray(), results)); // NaN equals NaN here
        });

    [Fact]
    public void Dropout_forms_agree_and_drop_the_share_asked_for()
    {
        const int count = 80_000;
        var mask = new DropMask(0.3, 0x1234_5678_9ABC_DEF0);
        var results = OfEachWidth(new float[count], new FactorsOf(mask));
        Assert.All(results, r => Assert.Equal(results[0], r));
        Assert.Equal([0, 1 / 0.7f], results[0].Distinct().Order());
        Assert.InRange(results[0].Count(f => f > 0), 56_000 - 650, 56_000 + 650); // five standard deviations
    }

    [Theory]
    [MemberData(nameof(Widths))]
    public void Norm_with_residual_equals_its_reference(int width)
    {
        const int rows = 5;
        var drop = new BranchDrop(new DropMask(0.4, 77), [1, 0, 1.5f], 2);
        var (x, branch, weight, dy) = (Values(rows * width, 1), Values(rows * width, 2), Values(width, 3), Values(rows * width, 4));
        float[][] Run<L>()
            where L : unmanaged, ISimd<L>
        {
            var (sum, normed, inverse, residual, weightGradient, branchGradient) =
                (new float[rows * width], new float[rows * width], new float[rows], Values(rows * width, 5), Values(width, 6),
                new float[rows * width]);
            fixed (float* px = x, pb = branch, pw = weight, pd = dy, ps = sum, pn = normed, pi = inverse, pr = residual, pg = weightGradient,
                pbg = branchGradient)
            {
                NormKernel<L>.Forward(rows, width, px, (Fp32*)pb, drop, ps, pw, 1e-5f, (Fp32*)pn, pi);
                NormKernel<L>.Backward(rows, width, (Fp32*)pd, ps, pi, pw, pr, false, pg, (Fp32*)pbg, drop);
            }

            return [sum, normed, inverse, residual, weightGradient, branchGradient];
        }

        AssertTwins(Run<Simd1>, Run<Simd8>, Run<Simd16>);
    }

    [Theory]
    [MemberData(nameof(Widths))]
    public void SwiGlu_equals_its_reference(int width)
    {
        const int rows = 4;
        var gradient = Values(rows * width, 2);
        float[][] Run<L>()
            where L : unmanaged, ISimd<L>
        {
            var (gateUp, hidden, again) = (Values(2 * rows * width, 1), new float[rows * width], new float[rows * width]);
            fixed (float* pg = gateUp, ph = hidden, pd = gradient, pa = again)
            {
                SwiGluKernel<L>.Forward(rows, width, (Fp32*)pg, (Fp32*)ph);
                SwiGluKernel<L>.Backward(rows, width, (Fp32*)pg, (Fp32*)pd, (Fp32*)pa);
            }

            AssertClose([hidden], [again]);
            return [gateUp, hidden];
        }

        AssertTwins(Run<Simd1>, Run<Simd8>, Run<Simd16>);
    }

    [Theory]
    [MemberData(nameof(Widths))]
    public void Cross_entropy_equals_its_reference(int vocabulary)
    {
        const int rows = 3, codes = 4;
        int[] targets = [.. Enumerable.Range(0, rows * codes).Select(i => i * i % vocabulary)];
        float[][] Run<L>()
            where L : unmanaged, ISimd<L>
        {
            var (logits, losses) = (Values(rows * vocabulary, 1), new double[rows]);
            fixed (float* pl = logits)
            fixed (int* pt = targets)
            fixed (double* ps = losses)
            {
                CrossEntropyKernel<L>.Run(rows, vocabulary, (Fp32*)pl, pt, [2, 1, 1, 0.5f], 0.5f, ps);
            }

            Assert.Equal(0, logits.Sum(), 1e-5); // probabilities and target frequencies both add up to one
            return [logits, [.. losses.Select(l => (float)l)]];
        }

        AssertTwins(Run<Simd1>, Run<Simd8>, Run<Simd16>);
    }

    [Fact]
    public void Small_products_equal_their_reference()
        => Gen.Select(Gen.Int[1, 9], Gen.Int[1, 150], Gen.Int[1, 20], Gen.Bool, Gen.Bool).Sample((rows, columns, depth, isTransposed, add) =>
        {
            var (left, right) = (Values(rows * depth, 1), Values(depth * columns, 2));
            float[][] Run<L>()
                where L : unmanaged, ISimd<L>
            {
                var result = Values(rows * columns, 3);
                fixed (float* pl = left, pr = right, ps = result)
                {
                    SmallGemm<L>.Multiply(
                        (rows, columns, depth), pl, isTransposed ? 1 : depth, isTransposed ? rows : 1, pr, columns, ps, columns, add);
                }

                return [result];
            }

            var plain = Values(rows * columns, 3);
            for (var i = 0; i < plain.Length; i++)
            {
                plain[i] = (add ? plain[i] : 0) + Enumerable.Range(0, depth)
                    .Sum(k => left[isTransposed ? (k * rows) + (i / columns) : (i / columns * depth) + k] * right[(k * columns) + (i % columns)]);
            }

            AssertTwins(() => [plain], Run<Simd1>, Run<Simd8>, Run<Simd16>);
        });

    [Theory]
    [InlineData(12, 1)]
    [InlineData(64, 2)]
    public void Attention_equals_its_reference(int width, int kvHeads)
    {
        const int batch = 2, tokens = 37, heads = 2; // two blocks of queries, the second one cut
        var rotary = new RotaryRows([.. Values(tokens * width, 4)], width);
        float[][] Run<L>()
            where L : unmanaged, ISimd<L>
        {
            var kernel = new AttentionKernel<L>(tokens, heads, kvHeads, width, rotary, new DropMask(0.2, 5));
            var (qkv, mixed, gradient, sums) =
                (Values(batch * tokens * (heads + (2 * kvHeads)) * width, 1), new float[batch * tokens * heads * width],
                Values(batch * tokens * heads * width, 2), new float[batch * heads * tokens]);
            fixed (float* pq = qkv, pm = mixed, pg = gradient, ps = sums)
            {
                kernel.Forward(batch, (Fp32*)pq, (Fp32*)pm, ps);
                kernel.Backward(batch, (Fp32*)pq, (Fp32*)pg, ps);
            }

            return [mixed, sums, qkv];
        }

        AssertTwins(Run<Simd1>, Run<Simd8>, Run<Simd16>);
    }

    /// <summary>Captions of all rows, of some and of one, and a caption without a token, whose last row sees itself alone.</summary>
    [Theory]
    [InlineData(12, 1)]
    [InlineData(64, 2)]
    public void Condition_rows_as_one_key_equal_a_key_for_each(int width, int kvHeads)
    {
        const int tokens = 45, heads = 2, conditions = 9;
        int[] firsts = [0, 5, conditions - 1, conditions];
        var table = Values(tokens * width, 4);
        table.AsSpan(0, conditions * width).Clear();
        var rotary = new RotaryRows(table, width);
        float[][] Run<L>(int conditionRows)
            where L : unmanaged, ISimd<L>
        {
            var kernel = new AttentionKernel<L>(tokens, heads, kvHeads, width, rotary, default, firsts, conditionRows);
            var (qkv, mixed, gradient, sums) =
                (Values(firsts.Length * tokens * (heads + (2 * kvHeads)) * width, 1), new float[firsts.Length * tokens * heads * width],
                Values(firsts.Length * tokens * heads * width, 2), new float[firsts.Length * heads * tokens]);
            fixed (float* pq = qkv, pm = mixed, pg = gradient, ps = sums)
            {
                kernel.Forward(firsts.Length, (Fp32*)pq, (Fp32*)pm, ps);
                kernel.Backward(firsts.Length, (Fp32*)pq, (Fp32*)pg, ps);
            }

            return [mixed, qkv];
        }

        AssertTwins(() => Run<Simd1>(1), () => Run<Simd1>(conditions), () => Run<Simd8>(conditions), () => Run<Simd16>(conditions));
    }

    private static float[] Values(int count, int seed)
        => [.. Enumerable.Range(0, count).Select(i => 2 * MathF.Sin((i * 12.9898f) + (seed * 78.233f)))];

    /// <summary>Compares with the first; the last, of sixteen lanes, runs only where the processor has them.</summary>
    private static void AssertTwins(params Func<float[][]>[] runs)
    {
        var expected = runs[0]();
        foreach (var run in Vector512.IsHardwareAccelerated ? runs[1..] : runs[1..^1])
        {
            AssertClose(expected, run());
        }
    }

    private static void AssertClose(float[][] expected, float[][] actual)
    {
        foreach (var (e, a) in expected.Zip(actual))
        {
            var scale = e.Max(MathF.Abs) + 1e-6f;
            Assert.All(e.Zip(a), p => Assert.True(MathF.Abs(p.First - p.Second) <= 2e-5f * scale, $"{p.First} and {p.Second}, of {scale}"));
        }
    }

    /// <summary>Results with one lane, with eight, and with sixteen where the processor has them.</summary>
    private static float[][] OfEachWidth<TFunction>(float[] x, TFunction function)
        where TFunction : IFunction
    {
        float[] Run<L>()
            where L : unmanaged, ISimd<L>
        {
            var results = new float[x.Length];
            fixed (float* from = x, to = results)
            {
                for (var i = 0; i < x.Length; i += L.Count)
                {
                    L.Store(to + i, function.Of(L.Load(from + i), i));
                }
            }

            return results;
        }

        return Vector512.IsHardwareAccelerated ? [Run<Simd1>(), Run<Simd8>(), Run<Simd16>()] : [Run<Simd1>(), Run<Simd8>()];
    }

    private interface IFunction
    {
        L Of<L>(L x, int element)
            where L : unmanaged, ISimd<L>;
    }

    private readonly struct ExponentialOf : IFunction
    {
        public L Of<L>(L x, int element)
            where L : unmanaged, ISimd<L> => Exponential.Evaluate(x);
    }

    private readonly struct ThroughBFloat16 : IFunction
    {
        public L Of<L>(L x, int element)
            where L : unmanaged, ISimd<L>
        {
            var room = stackalloc Bf16[L.Count];
            Bf16.Store(room, x);
            return Bf16.Load<L>(room);
        }
    }

    private readonly struct FactorsOf(DropMask mask) : IFunction
    {
        public L Of<L>(L x, int element)
            where L : unmanaged, ISimd<L> => L.Factors(mask, (uint)element);
    }
}
