using System.Globalization;
using System.Net;
using System.Text;

namespace NextPatch.Cli.Reports;

/// <summary>Which point of a line a chart marks.</summary>
internal enum BestPoint
{
    None,

    /// <summary>Of losses and distances.</summary>
    Lowest,

    /// <summary>Of scores.</summary>
    Highest,
}

/// <summary>
/// A line chart as inline SVG. Not a plotting library, because those draw text with system fonts, which slim systems lack (ScottPlot
/// then leaves every label out); here the browser draws it. Axes begin and end where the data do; text and lines of the frame have the page's own
/// colour, so that they show on light and dark; numbers are readable at a width of 360 pixels.
/// </summary>
internal sealed class SvgChart
{
    private const int Width = 400; // text of 14 then is read at 360 pixels
    private const int PlotHeight = 200;
    private const int LabelRoom = 30;
    private const int CharacterWidth = 8;
    private const int Right = 14;
    private const int Bottom = 42;
    private const int LegendRow = 18;
    private const int LongName = 22;

    // Of a best point's value.
    private const int LabelBelow = 20;
    private const int LabelAbove = 9;
    private const int LabelWidth = 60;
    private const int LabelHeight = 15;

    private static readonly int[] RoundFactors = [1, 2, 5, 10];
    private static readonly string[] Colors = ["#3b82f6", "#ef4444", "#10b981", "#a855f7", "#f59e0b", "#06b6d4", "#ec4899", "#84cc16"];

    private readonly string _xLabel;
    private readonly string _yLabel;
    private readonly List<(string Name, IReadOnlyList<(double X, double Y)> Points, BestPoint Best)> _lines = [];
    private readonly List<(double Start, double End, string Name)> _bands = [];

    public SvgChart(string xLabel, string yLabel) => (_xLabel, _yLabel) = (xLabel, yLabel);

    /// <summary>Adds a line, which is a dot where it has one point; points that are not finite are left out.</summary>
    /// <param name="name">In the legend.</param>
    /// <param name="points">In the order of x.</param>
    /// <param name="best">The point that is marked and labelled with its value.</param>
    public void AddLine(string name, IEnumerable<(double X, double Y)> points, BestPoint best = BestPoint.None)
        => _lines.Add((name, [.. points.Where(p => double.IsFinite(p.X) && double.IsFinite(p.Y))], best));

    /// <summary>Marks a range of x with a name.</summary>
    public void AddBand(double start, double end, string name) => _bands.Add((start, end, name));

    /// <summary>The chart; empty without points.</summary>
    public string Render()
    {
        var all = _lines.SelectMany(l => l.Points).ToList();
        if (all.Count == 0)
        {
            return "";
        }

        var columns = _lines.Exists(l => l.Name.Length > LongName) ? 1 : 2;
        var top = (LegendRow * ((_lines.Count + columns - 1) / columns)) + 8;
        var height = top + PlotHeight + Bottom;
        var (minX, maxX) = Range(all.Min(p => p.X), all.Max(p => p.X), margin: 0);
        var (minY, maxY) = Range(all.Min(p => p.Y), all.Max(p => p.Y), margin: _lines.Exists(l => l.Best != BestPoint.None) ? 0.14 : 0.06);
        var left = LabelRoom + (CharacterWidth * Ticks(minY, maxY).Max(t => Short(t).Length));
        double X(double x) => left + ((Math.Clamp(x, minX, maxX) - minX) / (maxX - minX) * (Width - left - Right));
        double Y(double y) => top + PlotHeight - ((y - minY) / (maxY - minY) * PlotHeight);
        var svg = new StringBuilder(Invariant(
            $"<svg class=\"chart\" viewBox=\"0 0 {Width} {height}\" role=\"img\" aria-label=\"{Encode(_yLabel)} by {Encode(_xLabel)}\" ")
            + "font-size=\"14\" font-family=\"system-ui, sans-serif\" fill=\"currentColor\">");
        for (var i = 0; i < _bands.Count; i++)
        {
            var (start, end, name) = _bands[i];
            svg.Append(Invariant($"<rect x=\"{X(start):F1}\" y=\"{top}\" width=\"{X(end) - X(start):F1}\" height=\"{PlotHeight}\" "))
                .Append(Invariant($"fill-opacity=\"{(i % 2 == 0 ? 0.07 : 0.02)}\"/><text x=\"{(X(start) + X(end)) / 2:F1}\" y=\"{top + 16}\" "))
                .Append(Invariant($"text-anchor=\"middle\" fill-opacity=\".7\">{Encode(name)}</text>"));
        }

        foreach (var tick in Ticks(minY, maxY))
        {
            svg.Append(Invariant($"<line x1=\"{left}\" x2=\"{Width - Right}\" y1=\"{Y(tick):F1}\" y2=\"{Y(tick):F1}\" stroke=\"currentColor\" "))
                .Append(Invariant($"stroke-opacity=\".15\"/><text x=\"{left - 6}\" y=\"{Y(tick) + 5:F1}\" text-anchor=\"end\">{Short(tick)}</text>"));
        }

        foreach (var tick in Ticks(minX, maxX))
        {
            var (text, isAtEdge) = (Short(tick), X(tick) + (Short(tick).Length * CharacterWidth / 2) > Width);
            svg.Append(Invariant($"<text x=\"{(isAtEdge ? Width : X(tick)):F1}\" y=\"{top + PlotHeight + 18}\" "))
                .Append(Invariant($"text-anchor=\"{(isAtEdge ? "end" : "middle")}\">{text}</text>"));
        }

        var labels = new List<(double X, double Y)>();
        for (var i = 0; i < _lines.Count; i++)
        {
            var color = Colors[i % Colors.Length];
            var (name, points, best) = _lines[i];
            svg.Append(points is [var (x, y)]
                ? Invariant($"<circle cx=\"{X(x):F1}\" cy=\"{Y(y):F1}\" r=\"3\" fill=\"{color}\"/>")
                : Invariant($"<polyline points=\"{string.Join(' ', points.Select(p => Invariant($"{X(p.X):F1},{Y(p.Y):F1}")))}\" fill=\"none\" ")
                    + Invariant($"stroke=\"{color}\" stroke-width=\"1.8\"/>"));
            if (best != BestPoint.None && points.Count > 0)
            {
                var (bestX, bestY) = best == BestPoint.Lowest ? points.MinBy(p => p.Y) : points.MaxBy(p => p.Y);
                var anchor = X(bestX) > Width * 0.7 ? "end" : "start";
                var places = Places(Y(bestY), top, best == BestPoint.Lowest);
                var labelY = places.FirstOrDefault(
                    y => !labels.Exists(l => Math.Abs(l.X - X(bestX)) < LabelWidth && Math.Abs(l.Y - y) < LabelHeight), places[0]);
                labels.Add((X(bestX), labelY));
                svg.Append(Invariant($"<circle class=\"best\" cx=\"{X(bestX):F1}\" cy=\"{Y(bestY):F1}\" r=\"5\" fill=\"none\" stroke=\"{color}\" "))
                    .Append(Invariant($"stroke-width=\"2\"/><text x=\"{X(bestX):F1}\" y=\"{labelY:F1}\" "))
                    .Append(Invariant($"text-anchor=\"{anchor}\" fill=\"{color}\">{Short(bestY)}</text>"));
            }

            var column = (Width - left) / columns;
            svg.Append(Invariant($"<text x=\"{left + (i % columns * column)}\" y=\"{14 + (i / columns * LegendRow)}\" fill=\"{color}\">"))
                .Append(Encode(name)).Append("</text>");
        }

        return svg.Append(Invariant($"<text x=\"{(left + Width) / 2}\" y=\"{height - 6}\" text-anchor=\"middle\">{Encode(_xLabel)}</text>"))
            .Append(Invariant(
                $"<text transform=\"translate(14 {top + (PlotHeight / 2)}) rotate(-90)\" text-anchor=\"middle\">{Encode(_yLabel)}</text>"))
            .Append("</svg>").ToString();
    }

    /// <summary>Where the label of a point may stand within the plot: next to it, then further away, then on its other side.</summary>
    private static IReadOnlyList<double> Places(double y, double top, bool isBelow)
    {
        const int rows = PlotHeight / LabelHeight;
        var below = Enumerable.Range(0, rows).Select(i => y + LabelBelow + (i * LabelHeight)).Where(p => p < top + PlotHeight);
        var above = Enumerable.Range(0, rows).Select(i => y - LabelAbove - (i * LabelHeight)).Where(p => p > top + LabelAbove);
        return [.. isBelow ? below.Concat(above) : above.Concat(below)];
    }

    /// <summary>A range that is not empty, with some room at its ends.</summary>
    private static (double Min, double Max) Range(double min, double max, double margin)
    {
        if (max - min <= Math.Abs(max) * 1e-9)
        {
            var room = Math.Max(Math.Abs(max) * 0.5, 1e-9);
            return (min - room, max + room);
        }

        return (min - ((max - min) * margin), max + ((max - min) * margin));
    }

    /// <summary>About five round numbers between two, at least one.</summary>
    private static IEnumerable<double> Ticks(double min, double max)
    {
        var rough = (max - min) / 5;
        var power = Math.Pow(10, Math.Floor(Math.Log10(rough)));
        var step = RoundFactors.Select(m => m * power).First(s => s >= rough * (1 - 1e-9));
        for (var tick = Math.Ceiling(min / step); tick * step <= max; tick++)
        {
            yield return (tick * step) + 0.0; // no -0
        }
    }

    /// <summary>A number of at most six characters or so.</summary>
    private static string Short(double value)
    {
        double[] thousands = [1e12, 1e9, 1e6, 1e3];
        string[] letters = ["T", "G", "M", "k"];
        for (var i = 0; i < thousands.Length; i++)
        {
            if (Math.Abs(value) >= thousands[i] * 10 || (Math.Abs(value) >= thousands[i] && i < thousands.Length - 1))
            {
                return (value / thousands[i]).ToString("0.##", CultureInfo.InvariantCulture) + letters[i];
            }
        }

        return Math.Abs(value) is > 0 and < 0.001
            ? value.ToString("0.##e0", CultureInfo.InvariantCulture)
            : value.ToString("0.####", CultureInfo.InvariantCulture);
    }

    private static string Encode(string text) => WebUtility.HtmlEncode(text);

    private static string Invariant(FormattableString text) => text.ToString(CultureInfo.InvariantCulture);
}
