using System.Text.RegularExpressions;
using NextPatch.Cli.Reports;

namespace NextPatch.Cli.Tests.Reports;

public sealed class SvgChartTests
{
    [Fact]
    public void Values_of_lines_that_end_at_one_point_are_written_beside_each_other()
    {
        var chart = new SvgChart("x", "y");
        chart.AddLine("one", [(0, 2), (1, 1)], BestPoint.Lowest);
        chart.AddLine("two", [(0, 3), (1, 1.01)], BestPoint.Lowest);

        var places = Regex.Matches(chart.Render(), """y="([0-9.]+)" text-anchor="end" fill""").Select(m => double.Parse(m.Groups[1].Value)).ToList();

        Assert.Equal(2, places.Count);
        Assert.InRange(Math.Abs(places[0] - places[1]), 13, 40);
    }

    [Fact]
    public void A_number_at_the_right_edge_is_whole()
    {
        var chart = new SvgChart("x", "y");
        chart.AddLine("one", [(0, 2), (4000, 1)]);

        Assert.Contains("""text-anchor="end">4000<""", chart.Render(), StringComparison.Ordinal);
    }

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

    [Fact]
    public void Axes_begin_where_the_data_do_and_their_numbers_have_room()
    {
        var svg = Render((1000, 0), (1010, 0.003));

        Assert.DoesNotContain(">-0<", svg, StringComparison.Ordinal);
        Assert.Contains(">0.003<", svg, StringComparison.Ordinal);
        var firstX = Number(svg, "points=\"([0-9.]+),");
        var numberEnds = Number(svg, "text x=\"([0-9.]+)\" y=\"[0-9.]+\" text-anchor=\"end\">0.003<");
        Assert.Equal(firstX, numberEnds + 6, 1); // the first point stands on the axis
        Assert.True(numberEnds > 20 + (8 * "0.003".Length), svg); // right of the label that stands upright
    }

    [Theory]
    [InlineData(BestPoint.Lowest, 3)]
    [InlineData(BestPoint.Highest, 5)]
    public void The_best_point_has_a_ring_and_its_value_on_the_free_side(object best, double value)
    {
        var chart = new SvgChart("x", "y");
        chart.AddLine("fd", [(1, 5), (2, 3), (3, 4)], (BestPoint)best);
        var svg = chart.Render();

        var ring = Number(svg, "class=\"best\" cx=\"[0-9.]+\" cy=\"([0-9.]+)\"");
        var label = Number(svg, $"y=\"([0-9.]+)\" text-anchor=\"\\w+\" fill=\"#\\w+\">{value}<");
        Assert.Equal((BestPoint)best == BestPoint.Lowest, label > ring);
    }

    [Fact]
    public void Labels_of_lines_that_end_together_stand_apart_and_above_the_axis()
    {
        var chart = new SvgChart("x", "y");
        double[] ends = [13.62, 14.16, 13.55, 13.13, 13.07];
        foreach (var end in ends)
        {
            chart.AddLine("fd", [(1, 25), (2, end)], BestPoint.Lowest);
        }

        var svg = chart.Render();
        var labels = ends.Select(end => Number(svg, $"y=\"([0-9.]+)\" text-anchor=\"\\w+\" fill=\"#\\w+\">{end:0.##}<")).Order().ToList();
        Assert.All(labels.Zip(labels.Skip(1)), pair => Assert.True(pair.Second - pair.First >= 15, svg));
        var axis = Number(svg, "<text x=\"[0-9.]+\" y=\"([0-9.]+)\" text-anchor=\"\\w+\">2<");
        Assert.True(labels[^1] < axis - 15, svg);
    }

    [Fact]
    public void Long_names_stand_below_each_other()
    {
        var chart = new SvgChart("x", "y");
        chart.AddLine("a name that is longer than a column", [(1, 5), (2, 3)]);
        chart.AddLine("another", [(1, 5), (2, 3)]);
        var svg = chart.Render();
        Assert.Equal(Number(svg, "x=\"([0-9.]+)\"[^>]*>a name"), Number(svg, "x=\"([0-9.]+)\"[^>]*>another"));
    }

    private static double Number(string svg, string pattern)
        => double.Parse(Regex.Match(svg, pattern).Groups[1].Value, System.Globalization.CultureInfo.InvariantCulture);

    private static string Render(params (double X, double Y)[] points)
    {
        var chart = new SvgChart("x", "y");
        chart.AddLine("kid", points);
        return chart.Render();
    }
}
