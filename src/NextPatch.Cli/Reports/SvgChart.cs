using System.Globalization;
using System.Net;
using System.Text;

namespace NextPatch.Cli.Reports;

/// <summary>
/// A line chart as inline SVG. Not a plotting library, because those draw text with system fonts, which slim systems lack (ScottPlot
/// then leaves every label out); here the browser draws it.
/// </summary>
internal sealed class SvgChart
{
    private const int Width = 860;
    private const int Height = 300;
    private const int Left = 52;
    private const int Bottom = 34;
    private const int Top = 22;
    private static readonly int[] RoundFactors = [1, 2, 5, 10];
    private static readonly string[] Colors = ["#2563eb", "#dc2626", "#059669", "#7c3aed"];

    private readonly string _xLabel;
    private readonly string _yLabel;
    private readonly List<(string Name, IReadOnlyList<(double X, double Y)> Points)> _lines = [];
    private readonly List<(double Start, double End, string Name)> _bands = [];

    public SvgChart(string xLabel, string yLabel) => (_xLabel, _yLabel) = (xLabel, yLabel);

    /// <summary>Adds a line, which is a dot where it has one point; points that are not finite are left out.</summary>
    public void AddLine(string name, IEnumerable<(double X, double Y)> points) => _lines.Add((name, [.. points.Where(p => double.IsFinite(p.Y))]));

    /// <summary>Marks a range of x with a name.</summary>
    public void AddBand(double start, double end, string name) => _bands.Add((start, end, name));

    public string Render()
    {
        var all = _lines.SelectMany(l => l.Points).ToList();
        if (all.Count == 0)
        {
            return "";
        }

        var maxX = Math.Max(all.Max(p => p.X), 1e-9);
        double minY = Math.Min(0, all.Min(p => p.Y)), maxY = Math.Max(0, all.Max(p => p.Y)) * 1.05;
        maxY = maxY > minY ? maxY : 1;
        double X(double x) => Left + (x / maxX * (Width - Left - 12));
        double Y(double y) => Height - Bottom - ((y - minY) / (maxY - minY) * (Height - Bottom - Top));
        var svg = new StringBuilder(
            Invariant($"<svg viewBox=\"0 0 {Width} {Height}\" role=\"img\" font-size=\"11\" font-family=\"system-ui, sans-serif\">"));
        for (var i = 0; i < _bands.Count; i++)
        {
            var (start, end, name) = _bands[i];
            svg.Append(string.Create(
                CultureInfo.InvariantCulture,
                $"<rect x=\"{X(start):F1}\" y=\"{Top}\" width=\"{X(end) - X(start):F1}\" height=\"{Height - Bottom - Top}\" "
                + $"fill=\"{(i % 2 == 0 ? "#eef2ff" : "#f8fafc")}\"/>"));
            svg.Append(Invariant(
                $"<text x=\"{X((start + end) / 2):F1}\" y=\"{Top + 14}\" text-anchor=\"middle\" fill=\"#475569\">{Encode(name)}</text>"));
        }

        foreach (var tick in Ticks(minY, maxY))
        {
            svg.Append(string.Create(
                CultureInfo.InvariantCulture,
                $"<line x1=\"{Left}\" x2=\"{Width - 12}\" y1=\"{Y(tick):F1}\" y2=\"{Y(tick):F1}\" stroke=\"#e2e8f0\"/><text x=\"{Left - 6}\" "
                + $"y=\"{Y(tick) + 4:F1}\" text-anchor=\"end\" fill=\"#475569\">{tick:0.###}</text>"));
        }

        foreach (var tick in Ticks(0, maxX))
        {
            svg.Append(Invariant(
                $"<text x=\"{X(tick):F1}\" y=\"{Height - Bottom + 16}\" text-anchor=\"middle\" fill=\"#475569\">{tick:0.###}</text>"));
        }

        for (var i = 0; i < _lines.Count; i++)
        {
            var color = Colors[i % Colors.Length];
            var path = string.Join(' ', _lines[i].Points.Select(p => Invariant($"{X(p.X):F1},{Y(p.Y):F1}")));
            svg.Append(_lines[i].Points is [var (x, y)]
                ? Invariant($"<circle cx=\"{X(x):F1}\" cy=\"{Y(y):F1}\" r=\"3\" fill=\"{color}\"/>")
                : Invariant($"<polyline points=\"{path}\" fill=\"none\" stroke=\"{color}\" stroke-width=\"1.5\"/>"));
            svg.Append(Invariant($"<text x=\"{Left + (i * 160)}\" y=\"14\" fill=\"{color}\">{Encode(_lines[i].Name)}</text>"));
        }

        svg.Append(Invariant($"<text x=\"{Width / 2}\" y=\"{Height - 4}\" text-anchor=\"middle\" fill=\"#334155\">{Encode(_xLabel)}</text>"));
        svg.Append(Invariant(
            $"<text transform=\"translate(12 {Height / 2}) rotate(-90)\" text-anchor=\"middle\" fill=\"#334155\">{Encode(_yLabel)}</text></svg>"));
        return svg.ToString();
    }

    /// <summary>About five round numbers between two.</summary>
    private static IEnumerable<double> Ticks(double min, double max)
    {
        var rough = (max - min) / 5;
        var power = Math.Pow(10, Math.Floor(Math.Log10(rough)));
        var step = RoundFactors.Select(m => m * power).First(s => s >= rough);
        for (var tick = Math.Ceiling(min / step) * step; tick <= max; tick += step)
        {
            yield return tick;
        }
    }

    private static string Encode(string text) => WebUtility.HtmlEncode(text);

    private static string Invariant(FormattableString text) => text.ToString(CultureInfo.InvariantCulture);
}
