using System.Diagnostics;
using System.Globalization;
using System.Text;
using System.Text.Json;
using System.Text.Json.Serialization;
using NextPatch.Cli.Rendering;
using NextPatch.Cli.Reports;
using NextPatch.Core.Files;
using NextPatch.Core.Imaging;
using NextPatch.Data.Sources;
using NextPatch.Training;

namespace NextPatch.Cli.Quickstart;

/// <summary>Writes what a quickstart of text to image measured: <c>report.json</c> for machines, <c>report.html</c> for people.</summary>
internal static class TextQuickstartPage
{
    private const int ShownImages = 24;
    private const int Zoom = 2;

    private static readonly JsonSerializerOptions Json = new()
    {
        WriteIndented = true,
        PropertyNamingPolicy = JsonNamingPolicy.CamelCase,
        NumberHandling = JsonNumberHandling.AllowNamedFloatingPointLiterals,
        Converters = { new JsonStringEnumConverter() },
    };

    /// <returns>The result with its <see cref="TextQuickstartResult.Seconds"/> filled in.</returns>
    public static TextQuickstartResult Write(
        QuickstartFolder folder, Stopwatch watch, IReadOnlyList<CaptionedImages> judged, TextQuickstartResult result)
    {
        result = result with { Seconds = Math.Round(watch.Elapsed.TotalSeconds, 2) };
        RunHistory[] runs = [RunHistory.Read(folder.Model), RunHistory.Read(folder.NextToken)];
        AtomicFile.WriteText(folder.ComparisonHtml, ComparePage.Render(runs, [], [.. result.Runs.Select(r => r.Name)]));
        AtomicFile.WriteText(folder.ReportHtml, Render(result, judged));
        AtomicFile.WriteText(folder.ReportJson, JsonSerializer.Serialize(result, Json)); // last: with it the quickstart is done
        return result;
    }

    /// <summary>A row per run and for reconstructions; seen and unseen combinations.</summary>
    public static IReadOnlyList<IReadOnlyList<string>> Rows(TextQuickstartResult result)
    {
        IReadOnlyList<string> Row(string name, TraitAgreement t)
            => [name, Percent(t.All), Percent(t.Shape), Percent(t.Colour), Percent(t.Size), Percent(t.Place)];

        return
        [
            ["images that show what their caption says", "all four", "shape", "colour", "size", "place"],
            .. result.Runs.Select(r => Row($"{r.Name}, combinations that were trained on", r.Seen)),
            Row("reconstructions of such images (the ceiling)", result.Ceiling[0]),
            .. result.Runs.Select(r => Row($"{r.Name}, combinations that never were", r.Unseen)),
            Row("reconstructions of such images (the ceiling)", result.Ceiling[1]),
        ];
    }

    private static string Render(TextQuickstartResult result, IReadOnlyList<CaptionedImages> judged)
    {
        var html = new StringBuilder();
        html.Append(Invariant($"""
            <h1>NextPatch: text to image</h1>
            <p class="lead">From nothing to pictures of captions in {HtmlPage.Encode(Quantity.Duration(result.Seconds))} on
            {HtmlPage.Encode(result.Machine)}. {result.Combinations} combinations of shape, colour, size and place were trained on,
            {result.UnseenCombinations} others never.</p>
            """));
        html.Append("<h2>Measured</h2>").Append(HtmlPage.Table(Rows(result)));
        var plain = result.Runs[^1];
        html.Append("<h2>Cost</h2>").Append(HtmlPage.Table(
        [
            ["training on equal images", "seconds", "of next-token", "FLOPs, planned, of next-token", "held-out loss, nats per code"],
            .. result.Runs.Select(r => (IReadOnlyList<string>)[r.Name, Invariant($"{r.TrainingSeconds:F1}"),
                Invariant($"{r.TrainingSeconds / plain.TrainingSeconds:F3}"), Invariant($"{r.PlannedFlops / plain.PlannedFlops:F3}"),
                Invariant($"{r.HeldOutLoss:F4}")]),
        ]));
        html.Append("<p><a href=\"compare.html\">Loss over images, FLOPs and seconds</a>. ")
            .Append("The text encoder is a formula and has learned nothing.</p>");
        foreach (var (k, title) in ((int, string)[])[(0, "Combinations that were trained on"), (1, "Combinations that never were")])
        {
            html.Append("<h2>").Append(title).Append("</h2><p>Drawn for the caption by ")
                .Append(string.Join(", by ", result.Runs.Select(r => r.Name)))
                .Append(". Red frames: a trait is not as the caption says.</p><div class=\"drawn\">");
            for (var i = 0; i < Math.Min(ShownImages, judged[k].Captions.Length); i++)
            {
                html.Append("<figure>");
                foreach (var run in result.Runs)
                {
                    html.Append(Picture(run.Pictures[k], judged[k], i));
                }

                html.Append("<figcaption>").Append(HtmlPage.Encode(judged[k].Captions[i])).Append("</figcaption></figure>");
            }

            html.Append("</div>");
        }

        html.Append("<h2>Seconds</h2>").Append(
            HtmlPage.Facts(result.SecondsByPart.Select(p => (p.Key, Invariant($"{p.Value:F1}")))));
        html.Append("<h2>Settings</h2><pre>").Append(HtmlPage.Encode(JsonSerializer.Serialize(result.Settings, Json))).Append("</pre>");
        return HtmlPage.Render("NextPatch: text to image", html.ToString(), """
            .drawn{display:flex;flex-wrap:wrap;gap:.6rem} .drawn figure{margin:0;width:9.5rem;font-size:.8rem}
            .drawn img{border:2px solid transparent} .drawn img.miss{border-color:#dc2626}
            """);
    }

    private static string Picture(byte[] pictures, CaptionedImages judged, int i)
    {
        var (side, bytes) = (judged.Images.Side, judged.Images.Side * judged.Images.Side * 3);
        var pixels = pictures.AsSpan(i * bytes, bytes);
        var isRight = Array.TrueForAll(TraitAgreement.Matches(judged.Traits[i], pixels, side), m => m);
        var png = PngWriter.Encode(new RgbImage(side, side, pixels.ToArray()));
        return Invariant($"<img class=\"{(isRight ? "" : "miss")}\" width=\"{side * Zoom}\" alt=\"{HtmlPage.Encode(judged.Captions[i])}\" ")
            + $"src=\"data:image/png;base64,{Convert.ToBase64String(png)}\">";
    }

    private static string Percent(double share) => Invariant($"{share * 100:F1} %");

    private static string Invariant(FormattableString text) => text.ToString(CultureInfo.InvariantCulture);
}
