using NextPatch.Core.Sampling;
using NextPatch.Evaluation.Metrics;

namespace NextPatch.Evaluation.Tests.Metrics;

/// <summary>Rows of features that tests draw.</summary>
internal static class Cloud
{
    /// <summary>Normal rows [count, width]; column d has standard deviation 1 / (1 + d) beside a common mean.</summary>
    public static float[] Draw(int seed, int count, int width, double mean = 0, double scale = 1)
    {
        var random = new CounterRandom((ulong)seed, RandomStream.Evaluation);
        return [.. Enumerable.Range(0, count * width).Select(i => (float)(mean + (scale * Normal(random, i) / (1 + (i % width)))))];
    }

    public static FeatureStatistics Statistics(float[] rows, int width)
    {
        var statistics = new FeatureStatistics(width);
        statistics.Add(rows);
        return statistics;
    }

    private static double Normal(CounterRandom random, int i)
        => Math.Sqrt(-2 * Math.Log(1 - random.Uniform(i, 0))) * Math.Cos(2 * Math.PI * random.Uniform(i, 1));
}
