using System.Globalization;
using System.Net;
using System.Text;
using NextPatch.Cli.Rendering;
using NextPatch.Cli.Reports;
using NextPatch.Core.Imaging;
using NextPatch.Data.Imaging;
using NextPatch.Data.Sources;
using NextPatch.Sampling;
using NextPatch.Training;

namespace NextPatch.Cli.Quickstart;

/// <summary>The report as one HTML file that needs nothing beside it; pictures are embedded, and link to the PNG files where those lie.</summary>
internal sealed class ReportPage
{
    private const int GridColumns = 12;
    private const int ReconstructionPairs = 12;
    private const int Zoom = 2;

    private readonly QuickstartResult _result;
    private readonly ReportPictures _pictures;
    private readonly RunHistory _run;
    private string _body = "";

    /// <param name="result">What was measured.</param>
    /// <param name="pictures">What is shown.</param>
    /// <param name="run">The transformer's run, also what it did before it was stopped and continued.</param>
    public ReportPage(QuickstartResult result, ReportPictures pictures, RunHistory run) => (_result, _pictures, _run) = (result, pictures, run);

    /// <summary>Does the work, so that the time it takes can still be reported.</summary>
    public void Prepare()
    {
        var html = new StringBuilder();
        html.Append("<h2>Samples</h2><p>One row per requested class. Each sample links to its PNG file, which carries its seed and settings.</p>")
            .Append(SampleGrid());
        html.Append("<h2>Measured</h2>").Append(Measurements());
        html.Append("<h2>Training</h2>").Append(HtmlPage.Charts(RunReport.LossChart(_run))).Append("<div class=\"wide\">")
            .Append(CostTable()).Append("</div>");
        html.Append("<h2>Reconstructions</h2><p>Held-out originals above, what the tokenizer makes of their codes below.</p>")
            .Append(Reconstructions());
        html.Append("<h2>All samples</h2><p>Red frames: the classifier sees another class than the requested one.</p>").Append(AllSamples());
        _body = html.ToString();
    }

    public string Render(double seconds, string settingsJson) => HtmlPage.Render("NextPatch quickstart",
        $$"""
        <h1>NextPatch quickstart</h1>
        <p class="lead">Next Patch Prediction from nothing to pictures in {{Encode(Quantity.Duration(seconds))}} on {{Encode(_result.Machine)}}.</p>
        {{_body}}
        <h2>Settings</h2><pre>{{Encode(settingsJson)}}</pre>
        """,
        """
        .grid{display:block;overflow-x:auto} .grid th{font-weight:500;padding-right:.6rem} .grid td{padding:1px;border:0} .grid img{max-width:none}
        .all img{width:48px;height:48px;margin:1px;border:2px solid transparent} .all img.miss{border-color:#dc2626}
        """);

    private string SampleGrid()
    {
        var samples = _pictures.Samples;
        var html = new StringBuilder("<table class=\"grid\">");
        for (var label = 0; label < samples.ClassNames.Count; label++)
        {
            html.Append(Invariant($"<tr><th>{Encode(samples.ClassNames[label])}</th>"));
            foreach (var i in Enumerable.Range(0, samples.Count).Where(i => samples.Labels[i] == label).Take(GridColumns))
            {
                html.Append(Invariant($"<td>{Picture(samples.ToImage(i), samples.Side * Zoom, i, "")}</td>"));
            }

            html.Append("</tr>");
        }

        return html.Append("</table>").ToString();
    }

    private string Measurements()
    {
        var rows = new List<(string, string)>
        {
            ("Samples that the judge sees as the requested class", Percent(_result.ClassAgreement)),
            ("Reconstructions that it sees as their class (the ceiling)", Percent(_result.ReconstructionAgreement)),
            ("Accuracy of the judge on held-out real images", Percent(_result.ClassifierHeldOutAccuracy)),
            ("Diversity within a class, against real images (0.6 to 1.3 is healthy, 0 is collapse)",
                _result.Diversity is { } d ? Invariant($"{d:F2}") : "too few agreeing samples"),
            ("Samples nearer to a training image than the nearest 1 % of held-out images", Percent(_result.CopyRate)),
            ("Held-out loss at p = 1, nats per code", Invariant($"{_result.FinalValidationLoss:F4}")),
            ("Reconstruction PSNR", Invariant($"{_result.ReconstructionPsnr:F1}\u00a0dB")),
            ("Sampled weights (the lower held-out loss)", _result.SampledWeights),
        };
        rows.AddRange(_result.ClassAgreementByClass.Select(p => ($"Agreement, {p.Key}", Percent(p.Value))));
        rows.AddRange(_result.SecondsByPart.Select(p => ($"Seconds, {p.Key}", Invariant($"{p.Value:F1}"))));
        return HtmlPage.Facts(rows);
    }

    private string CostTable()
    {
        var plain = _result.Stages[^1].MillisecondsPerImage;
        var rows = _result.Stages.Select(s =>
            Invariant($"<tr><td>p = {s.PatchSide}</td><td>{s.TokensPerImage}</td><td>{s.Images:N0}</td><td>{s.PlannedPerImage:F3}</td>")
            + Invariant($"<td>{s.MillisecondsPerImage / plain:F3}</td><td>{s.MillisecondsPerImage:F2}</td><td>{s.Seconds:F1}</td></tr>"));
        return "<table><tr><th>stage</th><th>tokens</th><th>images</th><th>planned cost per image</th><th>measured</th><th>ms per "
            + "image</th><th>seconds</th></tr>"
            + string.Concat(rows)
            + "<tr><th>whole run, of next-token training on as many images</th><td></td><td></td>"
            + Invariant($"<td>{_result.PlannedRelativeCost:F3}</td><td>{_result.MeasuredRelativeCost:F3}</td><td></td>")
            + Invariant($"<td>{_result.Stages.Sum(s => s.Seconds):F1}</td></tr></table>");
    }

    private string Reconstructions()
    {
        var heldOut = _pictures.Data.HeldOut;
        var count = Math.Min(ReconstructionPairs, heldOut.Count);
        var size = heldOut.Side * heldOut.Side * 3;
        var images = Enumerable.Range(0, count).Select(heldOut.ToImage)
            .Concat(Enumerable.Range(0, count).Select(
                i => new RgbImage(heldOut.Side, heldOut.Side, _pictures.Reconstructions[(i * size)..((i + 1) * size)])));
        var grid = ImageGrid.Compose([.. images], count, Zoom);
        return $"<img alt=\"originals and reconstructions\" src=\"{DataUri(grid)}\">";
    }

    private string AllSamples()
    {
        var samples = _pictures.Samples;
        return "<div class=\"all\">" + string.Concat(Enumerable.Range(0, samples.Count).Select(i =>
            Picture(samples.ToImage(i), samples.Side, i, _pictures.Judged[i] == samples.Labels[i] ? "" : "miss"))) + "</div>";
    }

    private string Picture(RgbImage image, int width, int index, string style)
    {
        var samples = _pictures.Samples;
        var title = Encode($"{samples.ClassNames[samples.Labels[index]]}, sample {index}, judged {samples.ClassNames[_pictures.Judged[index]]}");
        return string.Create(
            CultureInfo.InvariantCulture,
            $"<a href=\"samples/{SampleWriter.FileName(index)}\"><img class=\"{style}\" width=\"{width}\" alt=\"{title}\" title=\"{title}\" "
            + $"src=\"{DataUri(image)}\"></a>");
    }

    private static string DataUri(RgbImage image) => "data:image/png;base64," + Convert.ToBase64String(PngWriter.Encode(image));

    private static string Percent(double share) => Invariant($"{share * 100:F1}\u00a0%");

    private static string Encode(string text) => WebUtility.HtmlEncode(text);

    private static string Invariant(FormattableString text) => text.ToString(CultureInfo.InvariantCulture);
}

/// <summary>The images that a report shows.</summary>
/// <param name="Data">Real images.</param>
/// <param name="Reconstructions">Reconstructions of the held-out images, uint8 [N, S, S, 3].</param>
/// <param name="Samples">Generated images with their requested labels.</param>
/// <param name="Judged">What the classifier sees in each sample.</param>
internal sealed record ReportPictures(DatasetSplit Data, byte[] Reconstructions, ImageDataset Samples, IReadOnlyList<int> Judged);
