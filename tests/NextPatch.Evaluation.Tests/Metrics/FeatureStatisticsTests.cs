using NextPatch.Core;
using NextPatch.Evaluation.Metrics;

namespace NextPatch.Evaluation.Tests.Metrics;

[NoTensorLeaks]
public sealed class FeatureStatisticsTests
{
    [Fact]
    public void Mean_and_covariance_are_those_of_the_two_passes_one_would_write()
    {
        const int Width = 530; // more than a block of columns
        var rows = Cloud.Draw(1, 1_500, Width, mean: 3); // more than a block of rows
        var statistics = Cloud.Statistics(rows, Width);
        Assert.Equal(1_500, statistics.Count);
        var mean = statistics.Mean();
        var covariance = statistics.Covariance();
        foreach (var i in (int[])[0, 1, 511, 512, 529])
        {
            Assert.Equal(Column(rows, Width, i).Average(), mean[i], 1e-12);
            foreach (var j in (int[])[0, 2, 511, 512, 529])
            {
                Assert.Equal(PlainCovariance(rows, Width, i, j), covariance[(i * Width) + j], 1e-13);
            }
        }
    }

    [Fact]
    public void However_rows_are_divided_among_calls_the_bits_are_the_same()
    {
        var rows = Cloud.Draw(2, 2_500, 7);
        var parts = new FeatureStatistics(7);
        for (int row = 0, size = 1; row < 2_500; row += size, size = (size * 5 % 307) + 1)
        {
            parts.Add(rows.AsSpan(row * 7, Math.Min(size, 2_500 - row) * 7));
        }

        Assert.Equal(Cloud.Statistics(rows, 7).Covariance(), parts.Covariance());
        Assert.Equal(Cloud.Statistics(rows, 7).Mean(), parts.Mean());
    }

    [Fact]
    public void Two_parts_merged_equal_the_whole()
    {
        var rows = Cloud.Draw(3, 3_001, 9, mean: 5);
        var (whole, first, second) = (Cloud.Statistics(rows, 9), Cloud.Statistics(rows[..(700 * 9)], 9), Cloud.Statistics(rows[(700 * 9)..], 9));
        var before = second.Covariance();
        first.Merge(second);
        Assert.Equal(whole.Count, first.Count);
        Close(whole.Mean(), first.Mean(), 1e-13);
        Close(whole.Covariance(), first.Covariance(), 1e-13);
        Assert.Equal(before, second.Covariance());

        first.Merge(new FeatureStatistics(9)); // of nothing
        Close(whole.Covariance(), first.Covariance(), 1e-13);
        var empty = new FeatureStatistics(9);
        empty.Merge(whole);
        Close(whole.Covariance(), empty.Covariance(), 1e-15);
    }

    [Fact]
    public void Small_variances_beside_a_large_mean_survive_where_float32_and_raw_squares_lose_them()
    {
        // Values 1000 and 1000.0625 in turn: variance 0.0625^2 / 4 * N / (N - 1), exact in float32 itself.
        const int Count = 60_000;
        float[] rows = [.. Enumerable.Range(0, Count).Select(i => i % 2 == 0 ? 1000f : 1000.0625f)];
        var expected = 0.0625 * 0.0625 / 4 * Count / (Count - 1);
        Assert.Equal(expected, Cloud.Statistics(rows, 1).Covariance()[0], expected * 1e-12);

        var (sum, squares) = (0f, 0f);
        foreach (var value in rows)
        {
            (sum, squares) = (sum + value, squares + (value * value));
        }

        var inSingle = (squares - (sum * sum / Count)) / (Count - 1);
        Assert.True(Math.Abs(inSingle - expected) > 100 * expected, $"float32 gives {inSingle} for {expected}; it was to be wrong.");
    }

    [Fact]
    public void Values_that_are_not_finite_are_refused_and_named_and_nothing_of_the_call_counts()
    {
        var statistics = Cloud.Statistics([1, 2, 3, 4], 2);
        var error = Assert.Throws<NextPatchException>(() => statistics.Add([5, 6, 7, float.NaN]));
        Assert.Equal("Feature 1 of image 3 is NaN; expected finite numbers. Check the image and the network's weights.", error.Message);
        Assert.Throws<NextPatchException>(() => statistics.Add([float.PositiveInfinity, 0]));
        Assert.Equal([2.0, 3.0], statistics.Mean());
    }

    [Fact]
    public void Too_few_rows_cut_rows_and_other_widths_are_refused()
    {
        var statistics = new FeatureStatistics(3);
        Assert.Throws<NextPatchException>(() => statistics.Mean());
        statistics.Add([1, 2, 3]);
        Assert.Contains("at least 2 rows", Assert.Throws<NextPatchException>(() => statistics.Covariance()).Message, StringComparison.Ordinal);
        Assert.Contains("whole rows of 3", Assert.Throws<NextPatchException>(() => statistics.Add([1, 2])).Message, StringComparison.Ordinal);
        Assert.Throws<NextPatchException>(() => statistics.Merge(new FeatureStatistics(4)));
        Assert.Throws<NextPatchException>(() => FeatureStatistics.From([1, 2], [1, 0, 1]));
        Assert.Throws<NextPatchException>(() => FeatureStatistics.From([1, double.NaN], [1, 0, 0, 1]));
        Assert.Throws<InvalidOperationException>(() => FeatureStatistics.From([1], [1]).Add([1]));
    }

    internal static double PlainCovariance(float[] rows, int width, int i, int j)
    {
        double[] a = [.. Column(rows, width, i)], b = [.. Column(rows, width, j)];
        var (meanA, meanB) = (a.Average(), b.Average());
        return a.Zip(b, (x, y) => (x - meanA) * (y - meanB)).Sum() / (a.Length - 1);
    }

    private static IEnumerable<double> Column(float[] rows, int width, int i) => rows.Where((_, at) => at % width == i).Select(v => (double)v);

    private static void Close(double[] expected, double[] actual, double tolerance)
        => Assert.All(expected.Zip(actual), p => Assert.Equal(p.First, p.Second, tolerance));
}
