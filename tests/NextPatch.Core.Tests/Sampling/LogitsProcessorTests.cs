using CsCheck;
using NextPatch.Core.Sampling;

namespace NextPatch.Core.Tests.Sampling;

public sealed class LogitsProcessorTests
{
    private static readonly float[] Logits = [1f, 3f, 2f, 2f, -1f];

    private static double[] Probabilities(SamplingConfig config, float[] logits)
        => new LogitsProcessor(config, logits.Length).Probabilities(logits).ToArray();

    [Fact]
    public void Without_filters_it_is_the_softmax()
    {
        var sum = Logits.Sum(l => Math.Exp(l));
        Assert.Equal(Logits.Select(l => Math.Exp(l) / sum), Probabilities(new SamplingConfig(), Logits), (a, b) => Math.Abs(a - b) < 1e-12);
    }

    /// <summary>Temperature divides, and below 1e-5 counts as 1e-5, as published.</summary>
    [Theory]
    [InlineData(2.0, 2.0)]
    [InlineData(1e-5, 1e-5)]
    [InlineData(0.0, 1e-5)]
    public void Temperature_divides_the_logits(double temperature, double divisor)
    {
        float[] logits = [0f, 3e-5f, 1e-5f];
        var sum = logits.Sum(l => Math.Exp(l / divisor));
        Assert.Equal(
            logits.Select(l => Math.Exp(l / divisor) / sum), Probabilities(new SamplingConfig { Temperature = temperature }, logits),
            (a, b) => Math.Abs(a - b) < 1e-5);
    }

    [Fact]
    public void Large_logits_do_not_overflow() => Assert.Equal(1.0, Probabilities(new SamplingConfig(), [1e4f, 0f])[0]);

    /// <summary>Lengths that no vector divides, and values that are far apart or filtered out.</summary>
    [Theory]
    [InlineData(1)]
    [InlineData(7)]
    [InlineData(16)]
    [InlineData(1003)]
    public void Vectors_give_what_the_formula_gives(int count)
    {
        var random = new Random(count);
        float[] logits = [.. Enumerable.Range(0, count).Select(i => i % 11 == 5 ? float.NegativeInfinity : (random.NextSingle() * 200) - 150)];
        logits[0] = 3;
        float[] unconditional = [.. Enumerable.Range(0, count).Select(_ => random.NextSingle())];
        float[] guided = [.. logits.Zip(unconditional, (c, u) => u + ((c - u) * 1.5f))];
        var max = guided.Max(v => v / 0.7f);
        double[] expected = [.. guided.Select(v => Math.Exp((v / 0.7f) - max))];
        var sum = expected.Sum();

        LogitsProcessor.Guide(logits, unconditional, 1.5);

        Assert.Equal(guided, logits);
        var actual = Probabilities(new SamplingConfig { Temperature = 0.7 }, logits);
        Assert.All(expected.Zip(actual), p => Assert.Equal(p.First / sum, p.Second, Math.Max(p.First / sum, 1e-300) * 1e-14));
    }

    [Fact]
    public void Top_k_keeps_what_sorting_would_keep()
    {
        var random = new Random(5);
        for (var trial = 0; trial < 200; trial++)
        {
            float[] logits = [.. Enumerable.Range(0, random.Next(1, 300)).Select(_ => (float)random.Next(1 << random.Next(1, 12)))];
            var k = random.Next(1, logits.Length + 1);
            var threshold = logits.OrderDescending().ElementAt(k - 1);
            var actual = Probabilities(new SamplingConfig { TopK = k, Temperature = 1000 }, logits);
            Assert.Equal(logits.Select(v => v >= threshold), actual.Select(p => p > 0));
        }
    }

    [Fact]
    public void Top_k_keeps_ties_with_the_kth()
        => Assert.Equal([false, true, true, true, false], Probabilities(new SamplingConfig { TopK = 2 }, Logits).Select(p => p > 0));

    [Fact]
    public void Top_p_keeps_the_code_that_crosses_the_threshold_and_always_the_first()
    {
        float[] logits = [MathF.Log(0.5f), MathF.Log(0.3f), MathF.Log(0.2f)];
        Assert.Equal([true, true, false], Probabilities(new SamplingConfig { TopP = 0.6 }, logits).Select(p => p > 0));
        Assert.Equal([true, false, false], Probabilities(new SamplingConfig { TopP = 0 }, logits).Select(p => p > 0));

        // Two of four equal codes reach 0.5 but do not exceed it, so the third survives, as published.
        Assert.Equal(3, Probabilities(new SamplingConfig { TopP = 0.5 }, [1, 1, 1, 1]).Count(p => p > 0));
    }

    [Fact]
    public void Draws_follow_the_probabilities()
        => Gen.Select(Gen.Float[-4, 4].Array[2, 12], Gen.Double[0, 1]).Sample((logits, uniform) =>
        {
            var processor = new LogitsProcessor(new SamplingConfig(), logits.Length);
            var code = processor.Draw(logits, uniform);
            var probabilities = processor.Probabilities(logits).ToArray();
            var below = probabilities.Take(code).Sum();
            return below <= uniform + 1e-12 && (uniform < below + probabilities[code] + 1e-12);
        });

    /// <summary>At every border between two codes, exactly: no share of the probabilities is lost or added.</summary>
    [Fact]
    public void A_draw_changes_where_the_cumulative_sum_does_to_the_last_bit()
        => Gen.Select(Gen.Float[-4, 4].Array[2, 40], Gen.OneOf(Gen.Const(0), Gen.Const(3)), Gen.OneOf(Gen.Const(1.0), Gen.Const(0.8)))
            .Sample((logits, topK, topP) =>
        {
            var processor = new LogitsProcessor(new SamplingConfig { TopK = topK, TopP = topP }, logits.Length);
            var probabilities = processor.Probabilities(logits).ToArray();
            int[] codes = [.. Enumerable.Range(0, logits.Length).Where(i => probabilities[i] > 0)];
            var sum = 0.0;
            for (var i = 0; i < codes.Length - 1; i++)
            {
                sum += probabilities[codes[i]];
                if (processor.Draw(logits, Math.BitDecrement(sum)) != codes[i] || processor.Draw(logits, sum) != codes[i + 1])
                {
                    return false;
                }
            }

            return processor.Draw(logits, 0) == codes[0] && processor.Draw(logits, Math.BitDecrement(1.0)) == codes[^1];
        });

    [Theory]
    [InlineData(float.NaN)]
    [InlineData(float.PositiveInfinity)]
    [InlineData(float.NegativeInfinity)]
    public void Logits_that_are_not_finite_are_refused_with_their_position(float bad)
    {
        LogitsProcessor.RequireFinite([1, float.MaxValue, float.MinValue], 0, 0);
        Assert.Throws<NextPatchException>(() => LogitsProcessor.RequireFinite([bad, 2, 1], 12, 34));
        var message = Assert.Throws<NextPatchException>(() => LogitsProcessor.RequireFinite([1, 2, bad], 12, 34)).Message;
        Assert.StartsWith("Drawing stops at position 34 of image 12: the logit of code 2 is ", message, StringComparison.Ordinal);
    }

    [Fact]
    public void Greedy_takes_the_first_largest()
        => Assert.Equal(1, new LogitsProcessor(new SamplingConfig { Greedy = true }, 3).Draw([0f, 2f, 2f], 0.99));

    [Fact]
    public void Guidance_moves_away_from_the_unconditional_logits()
    {
        float[] conditional = [1f, 2f];
        LogitsProcessor.Guide(conditional, [0f, 3f], 2);
        Assert.Equal([2f, 1f], conditional);
    }

    /// <summary>Published rule: the prefill is always guided, decode step i while i is at most the interval.</summary>
    [Theory]
    [InlineData(-1, new[] { 2.0, 2, 2, 2 })]
    [InlineData(0, new[] { 2.0, 2, 1, 1 })]
    [InlineData(1, new[] { 2.0, 2, 2, 1 })]
    public void The_interval_counts_decode_steps(int interval, double[] scales)
    {
        var config = new SamplingConfig { GuidanceScale = 2, GuidanceInterval = interval };
        Assert.Equal(scales, Enumerable.Range(0, 4).Select(p => config.ScaleAt(p, 4)));
    }

    [Fact]
    public void Ramps_go_from_one_to_the_scale()
    {
        var linear = new SamplingConfig { GuidanceScale = 3, GuidanceShape = GuidanceShape.Linear };
        Assert.Equal([1.0, 2, 3], new[] { 0, 2, 4 }.Select(p => linear.ScaleAt(p, 5)));
        var power = linear with { GuidanceShape = GuidanceShape.Power, GuidancePower = 2 };
        Assert.Equal([1.0, 1.5, 3], new[] { 0, 2, 4 }.Select(p => power.ScaleAt(p, 5)));
    }

    [Fact]
    public void Impossible_rules_are_refused_together()
        => Assert.Equal(
            4, Assert.Throws<ConfigException>(
            () => new SamplingConfig { GuidanceScale = -1, Temperature = double.NaN, TopK = -1, TopP = -0.5 }.Validated()).Problems.Count);
}
