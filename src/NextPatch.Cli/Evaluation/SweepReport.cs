using System.Globalization;
using System.Net;
using System.Text;
using NextPatch.Cli.Reports;
using NextPatch.Core.Files;
using NextPatch.Core.Imaging;
using NextPatch.Core.Sampling;
using NextPatch.Data.Imaging;
using NextPatch.Evaluation.Protocol;

namespace NextPatch.Cli.Evaluation;

/// <summary>The files of a sweep, written anew after every point: sweep.csv, sweep.html, grid.png.</summary>
internal static class SweepReport
{
    private const int PixelsPerImage = 64;

    /// <summary>Writes all three.</summary>
    /// <param name="folder">Exists.</param>
    /// <param name="points">At least one.</param>
    public static void Write(string folder, IReadOnlyList<SweepPoint> points)
    {
        var picture = PngWriter.Encode(Picture(points));
        AtomicFile.Write(Path.Combine(folder, "grid.png"), file => file.Write(picture));
        AtomicFile.WriteText(Path.Combine(folder, "sweep.csv"), Csv(points));
        AtomicFile.WriteText(Path.Combine(folder, "sweep.html"), Page(points, picture));
    }

    /// <summary>One row per point; a column holds images of one seed and class.</summary>
    private static RgbImage Picture(IReadOnlyList<SweepPoint> points)
        => ImageGrid.Compose(
            [.. points.SelectMany(p => p.Images)], points[0].Images.Count, Math.Max(1, PixelsPerImage / points[0].Images[0].Width),
            [.. points.Select(p => p.Label)]);

    private static string Csv(IReadOnlyList<SweepPoint> points)
    {
        var text = new StringBuilder("cfgScale,temperature,topK,topP,images,network,fd,fid,sfid,inceptionScore,precision,recall,kid\n");
        foreach (var (s, r, _) in points)
        {
            double?[] figures = [r.Fd, r.Fid, r.Sfid, r.InceptionScore, r.Precision, r.Recall, r.Kid];
            text.Append(Invariant($"{s.GuidanceScale},{s.Temperature},{s.TopK},{s.TopP},{r.Protocol.Images},{r.Protocol.Network},"))
                .AppendJoin(',', figures.Select(f => f?.ToString("R", CultureInfo.InvariantCulture) ?? "")).Append('\n');
        }

        return text.ToString();
    }

    private static string Page(IReadOnlyList<SweepPoint> points, byte[] picture)
    {
        var protocol = points[0].Result.Protocol;
        var names = FigureNames.From(points[0].Result).Select(f => f.Name).ToList();
        var rows = points.Select(
            p => $"<tr><td>{Encode(p.Label)}</td>{string.Concat(FigureNames.From(p.Result).Select(f => Cell(f.Value)))}</tr>");
        return HtmlPage.Render("NextPatch sweep",
            $$"""
            <h1>Sweep</h1>
            <p>{{Invariant($"{protocol.Images:N0} images per point, the same seeds and classes at each, ")}}
            {{Invariant($"against {Encode(protocol.Reference.Name)}; features of {Encode(protocol.Network)} ")}}
            {{Invariant($"(weights {protocol.WeightsHash[..12]}), ")}}
            {{Invariant($"resize {protocol.Resize}, labels {protocol.Labels}.")}} Rings mark the best point of each curve.</p>
            {{HtmlPage.Charts(Chart(points, FigureNames.Distance(protocol.Network), r => r.Fd, BestPoint.Lowest),
                Chart(points, FigureNames.Score(protocol.Network), r => r.InceptionScore, BestPoint.Highest))}}
            <div class="wide"><table>
            <tr><th>setting</th>{{string.Concat(names.Select(n => $"<th>{Encode(n)}</th>"))}}</tr>{{string.Concat(rows)}}</table></div>
            {{string.Concat(points.SelectMany(p => p.Result.Warnings).Distinct().Select(w => $"<p>Warning: {Encode(w)}</p>"))}}
            <h2>Images</h2>{{HtmlPage.Picture(picture, "one row per setting")}}
            """,
            "td:first-child{white-space:nowrap}");
    }

    private static string Chart(IReadOnlyList<SweepPoint> points, string name, Func<EvaluationResult, double?> figure, BestPoint best)
    {
        var chart = new SvgChart("guidance scale", name);
        foreach (var curve in points.Where(p => figure(p.Result) is not null).GroupBy(p => p.Curve))
        {
            chart.AddLine(
                curve.Key, curve.OrderBy(p => p.Sampling.GuidanceScale).Select(p => (p.Sampling.GuidanceScale, figure(p.Result)!.Value)), best);
        }

        return chart.Render();
    }

    private static string Encode(string text) => WebUtility.HtmlEncode(text);

    private static string Invariant(FormattableString text) => text.ToString(CultureInfo.InvariantCulture);

    private static string Cell(double value) => Invariant($"<td>{value:0.####}</td>");
}

/// <summary>One setting of a sweep and what it gave.</summary>
/// <param name="Sampling">The setting.</param>
/// <param name="Result">The figures.</param>
/// <param name="Images">The first images, of the same seeds and classes at every point.</param>
internal sealed record SweepPoint(SamplingConfig Sampling, EvaluationResult Result, IReadOnlyList<RgbImage> Images)
{
    /// <summary>The setting in short, as it labels a row of the picture.</summary>
    public string Label
        => string.Create(CultureInfo.InvariantCulture, $"cfg {Sampling.GuidanceScale} t {Sampling.Temperature} k {Sampling.TopK} p {Sampling.TopP}");

    /// <summary>Everything but the guidance scale: what points of one curve share.</summary>
    public string Curve => string.Create(CultureInfo.InvariantCulture, $"t {Sampling.Temperature}, k {Sampling.TopK}, p {Sampling.TopP}");
}
