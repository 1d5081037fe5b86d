using CsCheck;
using NextPatch.Core.Tensors;
using NextPatch.Training.Optimization;

namespace NextPatch.Training.Tests.Optimization;

public sealed class AdamWKernelTests
{
    private static readonly AdamWStep Step = new(
        Clip: 0.5f, Keep: 0.999f, Beta1: 0.9f, Beta2: 0.95f, StepSize: 0.01f, SecondCorrection: 0.3f, Epsilon: 1e-8f, AverageDecay: 0.8f);

    [Fact]
    public void Vector_and_scalar_agree_bit_for_bit()
        => Gen.Select(Gen.Float[-3, 3].Array[0, 2100], Gen.Bool).Sample((weights, hasAverage) =>
        {
            float[] Make(Func<float, float> f) => [.. weights.Select(f)];
            var (w1, m1, v1, a1) = (Make(w => w), Make(w => w * 0.1f), Make(w => w * w), hasAverage ? Make(w => w + 1) : []);
            var (w2, m2, v2, a2) = (Make(w => w), Make(w => w * 0.1f), Make(w => w * w), hasAverage ? Make(w => w + 1) : []);
            var gradients = Make(w => MathF.Sin(w * 7));
            var (c1, c2) = (new ushort[weights.Length], new ushort[weights.Length]);
            AdamWKernel.Update(w1, gradients, m1, v1, a1, c1, Step);
            AdamWKernel.UpdateScalar(w2, gradients, m2, v2, a2, Step);
            for (var i = 0; i < c2.Length; i++)
            {
                c2[i] = BFloat16.FromSingle(w2[i]);
            }

            return c1.SequenceEqual(c2) && w1.SequenceEqual(w2) && m1.SequenceEqual(m2) && v1.SequenceEqual(v2) && a1.SequenceEqual(a2);
        });

    /// <summary>One step by hand: decay, moments, bias correction, step, average.</summary>
    [Fact]
    public void One_step_is_the_formula()
    {
        float[] weights = [2f], moments = [0.1f], squares = [0.04f], average = [1f];
        AdamWKernel.UpdateScalar(weights, [0.6f], moments, squares, average, Step);
        const double gradient = 0.3, moment = 0.1 + ((0.3 - 0.1) * 0.1), square = (0.04 * 0.95) + (gradient * gradient * 0.05);
        var expected = (2 * 0.999) - (moment * 0.01 / (Math.Sqrt(square) / 0.3));
        Assert.Equal(expected, weights[0], 1e-6);
        Assert.Equal((1 * 0.8) + (expected * 0.2), average[0], 1e-6);
    }

    [Fact]
    public void Sum_of_squares_is_exact_in_double()
        => Gen.Float[-1000, 1000].Array[0, 100]
            .Sample(values => Math.Abs(AdamWKernel.SumOfSquares(values) - values.Sum(v => (double)v * v)) <= 1e-9 * values.Sum(v => (double)v * v));
}
