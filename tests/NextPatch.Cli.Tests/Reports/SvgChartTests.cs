using NextPatch.Cli.Reports;

namespace NextPatch.Cli.Tests.Reports;

public sealed class SvgChartTests
{
    [Theory]
    [InlineData(3)]
    [InlineData(0)]
    [InlineData(-3)]
    public void A_line_of_one_point_is_a_dot_within_the_picture(double y)
    {
        var svg = Render((2, y));

        Assert.Matches("""<circle cx="[0-9.]+" cy="[0-9.]+" r="3" """, svg);
        Assert.DoesNotContain("NaN", svg, StringComparison.Ordinal);
    }

    [Fact]
    public void A_line_of_more_points_is_drawn_as_a_line()
    {
        var svg = Render((1, 2), (2, double.NaN), (3, 4));

        Assert.Matches("""<polyline points="[0-9.]+,[0-9.]+ [0-9.]+,[0-9.]+" """, svg);
        Assert.DoesNotContain("<circle", svg, StringComparison.Ordinal);
    }

    private static string Render(params (double X, double Y)[] points)
    {
        var chart = new SvgChart("x", "y");
        chart.AddLine("kid", points);
        return chart.Render();
    }
}
