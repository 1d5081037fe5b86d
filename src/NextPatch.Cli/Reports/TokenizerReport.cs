using System.Globalization;
using System.Text;
using System.Text.Json;
using NextPatch.Cli.Rendering;
using NextPatch.Core;
using NextPatch.Core.Checkpoints;
using NextPatch.Core.Files;
using NextPatch.Training.Tokenizer;

namespace NextPatch.Cli.Reports;

/// <summary><c>report.html</c> in the folder of a tokenizer's run: how it went, and what comes back of pictures.</summary>
internal static class TokenizerReport
{
    private static readonly (string Name, string Label, BestPoint Best)[] Curves =
    [
        ("psnr", "PSNR of training images, dB", BestPoint.Highest), ("loss", "loss", BestPoint.Lowest),
        ("codebookUsage", "share of the codebook in use", BestPoint.None), ("perplexity", "perplexity of the codes", BestPoint.None),
        ("perceptual", "perceptual loss", BestPoint.Lowest), ("learningRate", "learning rate", BestPoint.None),
    ];

    /// <summary>Whether a folder is that of a tokenizer's run.</summary>
    public static bool IsRun(string run) => Newest(run) is { } checkpoint && File.Exists(Path.Combine(checkpoint, "training.json"));

    /// <summary>Writes the report of a run into its folder.</summary>
    /// <returns>Its path.</returns>
    public static string Write(string run)
    {
        var path = Path.Combine(run, RunReport.FileName);
        AtomicFile.WriteText(path, Render(run), Path.Combine(run, ".writing-" + RunReport.FileName));
        return path;
    }

    private static string Render(string run)
    {
        var config = TokenizerRun.ReadConfig(Newest(run) ?? throw new NextPatchException($"The run in {run} has no checkpoint yet."));
        var lines = Lines(Path.Combine(run, "metrics.jsonl"));
        var (model, name) = (config.Tokenizer, Path.GetFileName(Path.TrimEndingDirectorySeparator(Path.GetFullPath(run))));
        var body = new StringBuilder($"<h1>{HtmlPage.Encode(name)}</h1>\n<p class=\"lead\">")
            .Append(Invariant($"Tokenizer: {model.ImageSide}x{model.ImageSide} pixels to {model.GridSide}x{model.GridSide} of "))
            .Append(Invariant($"{model.CodebookSize:N0} codes; {config.Data.TrainingCount:N0} images of {HtmlPage.Encode(config.Data.Name)}.</p>\n"))
            .Append("<h2>Result</h2>\n").Append(HtmlPage.Facts(Facts(config, lines)))
            .Append("\n<h2>Course</h2>\n").Append(
                HtmlPage.Charts([HeldOutChart(lines), .. Curves.Select(c => Chart(lines, c.Name, c.Label, c.Best))]));
        if (NewestPicture(run) is { } picture)
        {
            body.Append("\n<h2>Reconstructions</h2>\n<p>Held-out originals above, what came back of their codes below.</p>\n")
                .Append(HtmlPage.Picture(File.ReadAllBytes(picture), "originals and reconstructions"));
        }

        body.Append($"\n<h2>Settings</h2>\n<pre>{HtmlPage.Encode(Terminal.ToJson(config))}</pre>");
        return HtmlPage.Render($"NextPatch: {name}", body.ToString());
    }

    private static IEnumerable<(string Name, string Value)> Facts(TokenizerRunConfig config, IReadOnlyList<Dictionary<string, double>> lines)
    {
        yield return ("steps", Invariant($"{(lines.Count > 0 ? lines[^1]["step"] : 0):N0} of {config.Steps:N0}, {config.BatchSize} images each"));
        foreach (var (name, label, format) in new[]
        {
            ("heldOut.psnr", "held-out PSNR, dB", "F2"), ("heldOut.codebookUsage", "share of the codebook in use, held-out", "P1"),
            ("heldOut.perplexity", "perplexity of the codes, held-out", "F0"), ("psnr", "PSNR of training images, dB", "F2"),
        })
        {
            if (lines.LastOrDefault(l => l.ContainsKey(name)) is { } last)
            {
                yield return (label, last[name].ToString(format, CultureInfo.InvariantCulture));
            }
        }
    }

    private static string HeldOutChart(IReadOnlyList<Dictionary<string, double>> lines)
        => Chart(lines, "heldOut.psnr", "held-out PSNR, dB", BestPoint.Highest);

    private static string Chart(IReadOnlyList<Dictionary<string, double>> lines, string name, string label, BestPoint best)
    {
        var chart = new SvgChart("optimiser step", label);
        chart.AddLine(label, lines.Where(l => l.ContainsKey(name)).Select(l => (l["step"], l[name])), best);
        return chart.Render();
    }

    /// <summary>Numbers of each line by name, those of <c>heldOut</c> with it before them; what a kill tore is passed over.</summary>
    private static List<Dictionary<string, double>> Lines(string path)
    {
        var lines = new List<Dictionary<string, double>>();
        foreach (var text in File.Exists(path) ? File.ReadLines(path) : [])
        {
            try
            {
                using var json = JsonDocument.Parse(text);
                var line = Numbers(json.RootElement, "").ToDictionary(p => p.Name, p => p.Value);
                if (line.ContainsKey("step"))
                {
                    lines.Add(line);
                }
            }
            catch (Exception e) when (e is JsonException or InvalidOperationException or FormatException or ArgumentException)
            {
            }
        }

        return lines;
    }

    private static IEnumerable<(string Name, double Value)> Numbers(JsonElement line, string above)
        => line.EnumerateObject().SelectMany(p => p.Value.ValueKind switch
        {
            JsonValueKind.Number => [(above + p.Name, p.Value.GetDouble())],
            JsonValueKind.Object => Numbers(p.Value, p.Name + "."),
            _ => Enumerable.Empty<(string, double)>(),
        });

    private static string? Newest(string run)
        => Directory.Exists(run) && new CheckpointFolder(run).All() is [.., var last] ? Path.Combine(run, last) : null;

    private static string? NewestPicture(string run)
        => Path.Combine(run, "reconstructions") is var folder && Directory.Exists(folder) ? Directory.GetFiles(folder, "step-*.png").Max() : null;

    private static string Invariant(FormattableString text) => text.ToString(CultureInfo.InvariantCulture);
}
