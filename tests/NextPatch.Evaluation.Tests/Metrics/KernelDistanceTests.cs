using NextPatch.Core;
using NextPatch.Evaluation.Metrics;

namespace NextPatch.Evaluation.Tests.Metrics;

[NoTensorLeaks]
public sealed class KernelDistanceTests
{
    private const int Width = 5;

    [Fact]
    public void A_subset_of_all_rows_gives_the_unbiased_estimate_one_would_write()
    {
        var (reference, samples) = (Cloud.Draw(1, 40, Width), Cloud.Draw(2, 40, Width, mean: 0.5));
        var distance = KernelDistance.Compute(reference, samples, Width, subsets: 3, subsetSize: 40);
        Assert.Equal(Plain([.. reference.Chunk(Width)], [.. samples.Chunk(Width)]), distance.Mean, 1e-12);
        Assert.Equal(0, distance.StandardDeviation, 1e-12);
    }

    [Fact]
    public void Subsets_follow_the_seed_and_their_mean_is_near_the_estimate_of_all_rows()
    {
        var (reference, samples) = (Cloud.Draw(1, 300, Width), Cloud.Draw(2, 200, Width, mean: 0.5));
        var distance = KernelDistance.Compute(reference, samples, Width, seed: 4, subsets: 200, subsetSize: 50);
        Assert.Equal(distance, KernelDistance.Compute(reference, samples, Width, seed: 4, subsets: 200, subsetSize: 50));
        Assert.NotEqual(distance.Mean, KernelDistance.Compute(reference, samples, Width, seed: 5, subsets: 200, subsetSize: 50).Mean);
        var all = KernelDistance.Compute(reference.AsMemory(0, 200 * Width), samples, Width, subsets: 1, subsetSize: 200).Mean;
        Assert.Equal(all, distance.Mean, 0.15 * all);
        Assert.True(distance.StandardDeviation > 0);
    }

    [Fact]
    public void Of_two_draws_of_one_distribution_it_is_zero_on_average_because_it_is_unbiased()
    {
        var distance = KernelDistance.Compute(Cloud.Draw(1, 3_000, Width), Cloud.Draw(2, 3_000, Width), Width, subsetSize: 100);
        Assert.InRange(distance.Mean, -0.3 * distance.StandardDeviation, 0.3 * distance.StandardDeviation);
    }

    [Fact]
    public void Too_few_rows_and_values_that_are_not_finite_are_refused()
    {
        var rows = Cloud.Draw(1, 20, Width);
        Assert.Contains(
            "samples are 20", Assert.Throws<NextPatchException>(() => KernelDistance.Compute(Cloud.Draw(1, 1_000, Width), rows, Width)).Message,
            StringComparison.Ordinal);
        Assert.Throws<NextPatchException>(() => KernelDistance.Compute(rows, rows, Width + 2, subsetSize: 10));
        rows[7] = float.NaN;
        Assert.Throws<NextPatchException>(() => KernelDistance.Compute(Cloud.Draw(1, 20, Width), rows, Width, subsetSize: 10));
    }

    private static double Plain(float[][] x, float[][] y)
    {
        static double Kernel(float[] a, float[] b) => Math.Pow((a.Zip(b, (u, v) => (double)u * v).Sum() / Width) + 1, 3);
        double Within(float[][] rows)
            => rows.Index().SelectMany(a => rows.Index().Where(b => b.Index != a.Index).Select(b => Kernel(a.Item, b.Item))).Average();
        return Within(x) + Within(y) - (2 * x.SelectMany(a => y.Select(b => Kernel(a, b))).Average());
    }
}
