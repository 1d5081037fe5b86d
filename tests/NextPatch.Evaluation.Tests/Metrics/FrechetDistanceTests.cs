using NextPatch.Core;
using NextPatch.Evaluation.Metrics;

namespace NextPatch.Evaluation.Tests.Metrics;

[NoTensorLeaks]
public sealed class FrechetDistanceTests
{
    [Fact]
    public void Of_diagonal_covariances_it_is_what_one_writes_down()
    {
        // |m|^2 = 9 + 16, and (sqrt(4) - sqrt(9))^2 + (sqrt(1) - sqrt(25))^2 = 1 + 16.
        var (a, b) = (FeatureStatistics.From([0, 0], [4, 0, 0, 1]), FeatureStatistics.From([3, 4], [9, 0, 0, 25]));
        Assert.Equal(25 + 17, FrechetDistance.Between(a, b), 1e-12);
    }

    [Fact]
    public void Of_two_by_two_covariances_it_follows_the_closed_form_of_the_trace_of_a_root()
    {
        // tr M^(1/2) = sqrt(tr M + 2 sqrt(det M)) for two by two matrices.
        var (a, b) = (FeatureStatistics.From([0, 0], [2, 0.5, 0.5, 1]), FeatureStatistics.From([0, 0], [1, -0.3, -0.3, 3]));
        var trace = (2 * 1) + (0.5 * -0.3) + (0.5 * -0.3) + (1 * 3);
        var determinant = (2 - 0.25) * (3 - 0.09);
        Assert.Equal(3 + 4 - (2 * Math.Sqrt(trace + (2 * Math.Sqrt(determinant)))), FrechetDistance.Between(a, b), 1e-12);
    }

    [Theory]
    [InlineData(300, 20)]
    [InlineData(15, 40)] // fewer images than features
    public void It_is_symmetric_zero_on_itself_and_grows_with_the_difference(int count, int width)
    {
        var (a, b) = (Cloud.Statistics(Cloud.Draw(1, count, width), width), Cloud.Statistics(Cloud.Draw(2, count, width, scale: 2), width));
        var far = Cloud.Statistics(Cloud.Draw(2, count, width, mean: 1, scale: 2), width);
        Assert.Equal(0, FrechetDistance.Between(a, a), 1e-12);
        Assert.Equal(FrechetDistance.Between(a, b), FrechetDistance.Between(b, a), 1e-12);
        Assert.True(FrechetDistance.Between(a, b) > 0.1);
        Assert.True(FrechetDistance.Between(a, far) > FrechetDistance.Between(a, b) + 1);
    }

    [Fact]
    public void Features_that_are_constant_in_one_set_each_are_regularised_as_the_evaluator_does()
    {
        // Singular and unlike: tr ((C1 + e)(C2 + e))^(1/2) of two diagonals, traces without e.
        const double E = 1e-6;
        var (a, b) = (FeatureStatistics.From([0, 0], [4, 0, 0, 0]), FeatureStatistics.From([0, 0], [0, 0, 0, 9]));
        Assert.Equal(4 + 9 - (2 * (Math.Sqrt((4 + E) * E) + Math.Sqrt(E * (9 + E)))), FrechetDistance.Between(a, b), 1e-12);

        // Constant in both, or in one alone: the root needs no help, and the distance is exact.
        var (c, d) = (FeatureStatistics.From([0, 0], [4, 0, 0, 0]), FeatureStatistics.From([0, 0], [9, 0, 0, 0]));
        Assert.Equal(1, FrechetDistance.Between(c, d), 1e-12);
        Assert.Equal(4 + 9 + 16 - (2 * 6), FrechetDistance.Between(c, FeatureStatistics.From([0, 0], [9, 0, 0, 16])), 1e-12);
    }

    [Fact]
    public void Sets_without_any_variance_are_their_means_apart()
        => Assert.Equal(
            5, FrechetDistance.Between(FeatureStatistics.From([0, 0], [0, 0, 0, 0]), FeatureStatistics.From([1, 2], [0, 0, 0, 0])), 1e-12);

    [Fact]
    public void Other_widths_are_refused()
        => Assert.Contains(
            "one network", Assert.Throws<NextPatchException>(
            () => FrechetDistance.Between(FeatureStatistics.From([0], [1]), FeatureStatistics.From([0, 0], [1, 0, 0, 1]))).Message,
            StringComparison.Ordinal);
}
