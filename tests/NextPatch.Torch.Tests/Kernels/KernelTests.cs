using CsCheck;
using NextPatch.Torch.Kernels;
using NextPatch.Torch.Loading;

namespace NextPatch.Torch.Tests.Kernels;

/// <summary>Each vector kernel against its plain twin, at widths that vectors do and do not divide.</summary>
public sealed unsafe class KernelTests
{
    public KernelTests() => NativeBackend.EnsureLoaded(); // rows are shared among as many threads as libtorch has

    public static TheoryData<int> Widths => [1, 7, 8, 24, 37, 130];

    [Fact]
    public void Exponential_is_exact_to_two_units_and_its_forms_agree()
        => Gen.Float[-87, 88].Array[8].Sample(x =>
        {
            var vector = Exponential.Of(System.Runtime.Intrinsics.Vector256.Create(x));
            return Enumerable.Range(0, 8).All(i => vector[i] == Exponential.Of(x[i]) && Math.Abs((Exponential.Of(x[i]) / Math.Exp(x[i])) - 1) < 3e-7);
        });

    [Fact]
    public void Exponential_passes_nan_on_and_never_overflows()
    {
        Assert.True(float.IsNaN(Exponential.Of(float.NaN)));
        Assert.True(float.IsNaN(Exponential.Of(System.Runtime.Intrinsics.Vector256.Create(float.NaN))[3]));
        Assert.True(float.IsFinite(Exponential.Of(float.PositiveInfinity)));
        Assert.InRange(Exponential.Of(float.NegativeInfinity), 0, 2e-38f);
    }

    [Fact]
    public void Bf16_rounds_to_nearest_even_and_keeps_nan()
        => Gen.Float.Array[8].Sample(x =>
        {
            var stored = stackalloc BFloat16[8];
            BFloat16.Store(stored, System.Runtime.Intrinsics.Vector256.Create(x));
            for (var i = 0; i < 8; i++)
            {
                if (stored[i] != BFloat16.Narrow(x[i]) || float.IsNaN(x[i]) != float.IsNaN(BFloat16.Widen(stored[i])))
                {
                    return false;
                }
            }

            return true;
        });

    [Fact]
    public void Dropout_forms_agree_and_drop_the_share_asked_for()
    {
        var mask = new DropMask(0.3, 0x1234_5678_9ABC_DEF0);
        var kept = 0;
        for (var i = 0u; i < 80_000; i += 8)
        {
            var factors = mask.Factors(i);
            for (var j = 0; j < 8; j++)
            {
                Assert.Equal(mask.Factor(i + (uint)j), factors[j]);
                kept += factors[j] > 0 ? 1 : 0;
            }
        }

        Assert.InRange(kept, 56_000 - 650, 56_000 + 650); // five standard deviations
        Assert.Equal(1 / 0.7f, mask.Factors(0)[Enumerable.Range(0, 8).First(j => mask.Factors(0)[j] > 0)], 1e-6f);
    }

    [Theory]
    [MemberData(nameof(Widths))]
    public void Norm_with_residual_equals_its_twin(int width)
    {
        const int rows = 5;
        var drop = new BranchDrop(new DropMask(0.4, 77), [1, 0, 1.5f], 2);
        var (x, branch, weight, dy) = (Values(rows * width, 1), Values(rows * width, 2), Values(width, 3), Values(rows * width, 4));
        float[][] Run(bool vectorised)
        {
            var (sum, normed, inverse, residual, weightGradient, branchGradient) = (new float[rows * width], new float[rows * width], new float[rows], Values(rows * width, 5), Values(width, 6), new float[rows * width]);
            fixed (float* px = x, pb = branch, pw = weight, pd = dy, ps = sum, pn = normed, pi = inverse, pr = residual, pg = weightGradient, pbg = branchGradient)
            {
                NormKernel.Forward(rows, width, px, (Single32*)pb, drop, ps, pw, 1e-5f, (Single32*)pn, pi, vectorised);
                NormKernel.Backward(rows, width, (Single32*)pd, ps, pi, pw, pr, false, pg, (Single32*)pbg, drop, vectorised);
            }

            return [sum, normed, inverse, residual, weightGradient, branchGradient];
        }

        AssertClose(Run(false), Run(true));
    }

    [Theory]
    [MemberData(nameof(Widths))]
    public void SwiGlu_equals_its_twin(int width)
    {
        const int rows = 4;
        var gradient = Values(rows * width, 2);
        float[][] Run(bool vectorised)
        {
            var (gateUp, hidden, again) = (Values(2 * rows * width, 1), new float[rows * width], new float[rows * width]);
            fixed (float* pg = gateUp, ph = hidden, pd = gradient, pa = again)
            {
                SwiGluKernel.Forward(rows, width, (Single32*)pg, (Single32*)ph, vectorised);
                SwiGluKernel.Backward(rows, width, (Single32*)pg, (Single32*)pd, (Single32*)pa, vectorised);
            }

            AssertClose([hidden], [again]);
            return [gateUp, hidden];
        }

        AssertClose(Run(false), Run(true));
    }

    [Theory]
    [MemberData(nameof(Widths))]
    public void Cross_entropy_equals_its_twin(int vocabulary)
    {
        const int rows = 3, codes = 4;
        int[] targets = [.. Enumerable.Range(0, rows * codes).Select(i => i * i % vocabulary)];
        (float[] Gradient, double[] Loss) Run(bool vectorised)
        {
            var (logits, losses) = (Values(rows * vocabulary, 1), new double[rows]);
            fixed (float* pl = logits)
            fixed (int* pt = targets)
            fixed (double* ps = losses)
            {
                CrossEntropyKernel.Run(rows, vocabulary, (Single32*)pl, pt, codes, 0.5f, ps, vectorised);
            }

            return (logits, losses);
        }

        var (plain, vector) = (Run(false), Run(true));
        AssertClose([plain.Gradient], [vector.Gradient]);
        Assert.All(plain.Loss.Zip(vector.Loss), p => Assert.Equal(p.First, p.Second, 1e-5));
        Assert.Equal(0, plain.Gradient.Sum(), 1e-5); // probabilities and target frequencies both add up to one
    }

    [Theory]
    [InlineData(1)]
    [InlineData(2)]
    public void Small_products_equal_their_twin(int widest)
    {
        // On a processor without them, the vectors asked for are not forced: they would be emulated, and slowly.
        var vectors = (TileWidth)Math.Min(widest, (int)MatrixTile.Best);
        Gen.Select(Gen.Int[1, 9], Gen.Int[1, 150], Gen.Int[1, 20], Gen.Bool, Gen.Bool).Sample((rows, columns, depth, isTransposed, add) =>
        {
            var (left, right) = (Values(rows * depth, 1), Values(depth * columns, 2));
            float[] Run(TileWidth width)
            {
                var result = Values(rows * columns, 3);
                fixed (float* pl = left, pr = right, ps = result)
                {
                    MatrixTile.Multiply((rows, columns, depth), pl, isTransposed ? 1 : depth, isTransposed ? rows : 1, pr, columns, ps, columns, add, width);
                }

                return result;
            }

            AssertClose([Run(TileWidth.Scalar)], [Run(vectors)]);
        });
    }

    [Theory]
    [InlineData(12, 1)]
    [InlineData(64, 2)]
    public void Attention_equals_its_twin(int width, int kvHeads)
    {
        const int batch = 2, tokens = 37, heads = 2; // two blocks of queries, the second one cut
        var rotary = new RotaryRows([.. Values(tokens * width, 4)], width);
        float[][] Run(TileWidth vectors)
        {
            var kernel = new AttentionKernel(tokens, heads, kvHeads, width, rotary, new DropMask(0.2, 5), vectors);
            var (qkv, mixed, gradient, sums) = (Values(batch * tokens * (heads + (2 * kvHeads)) * width, 1), new float[batch * tokens * heads * width], Values(batch * tokens * heads * width, 2), new float[batch * heads * tokens]);
            fixed (float* pq = qkv, pm = mixed, pg = gradient, ps = sums)
            {
                kernel.Forward(batch, (Single32*)pq, (Single32*)pm, ps);
                kernel.Backward(batch, (Single32*)pq, (Single32*)pg, ps);
            }

            return [mixed, sums, qkv];
        }

        AssertClose(Run(TileWidth.Scalar), Run(MatrixTile.Best));
        AssertClose(Run(TileWidth.Scalar), Run((TileWidth)Math.Min(1, (int)MatrixTile.Best)));
    }

    private static float[] Values(int count, int seed) => [.. Enumerable.Range(0, count).Select(i => 2 * MathF.Sin((i * 12.9898f) + (seed * 78.233f)))];

    private static void AssertClose(float[][] expected, float[][] actual)
    {
        foreach (var (e, a) in expected.Zip(actual))
        {
            var scale = e.Max(MathF.Abs) + 1e-6f;
            Assert.All(e.Zip(a), p => Assert.True(MathF.Abs(p.First - p.Second) <= 2e-5f * scale, $"{p.First} and {p.Second}, of {scale}"));
        }
    }
}
