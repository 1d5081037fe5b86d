using System.Globalization;
using System.Text;
using System.Text.Json;
using NextPatch.Cli.Rendering;
using NextPatch.Core.Configuration;
using NextPatch.Core.Files;
using NextPatch.Training;

namespace NextPatch.Cli.Reports;

/// <summary><c>report.html</c> in a run's folder: what it gave, how it went, what it draws.</summary>
internal static class RunReport
{
    public const string FileName = "report.html";

    /// <summary>Writes the report of a run into its folder.</summary>
    /// <returns>Its path.</returns>
    public static string Write(string run)
    {
        var path = Path.Combine(run, FileName);
        AtomicFile.WriteText(path, Render(RunHistory.Read(run)), Path.Combine(run, ".writing-" + FileName));
        return path;
    }

    public static string Render(RunHistory run)
    {
        var name = Path.GetFileName(Path.TrimEndingDirectorySeparator(Path.GetFullPath(run.Folder)));
        var body = new StringBuilder($"<h1>{HtmlPage.Encode(name)}</h1>\n<p class=\"lead\">{HtmlPage.Encode(Headline(run))}</p>\n");
        body.Append("<h2>Result</h2>\n").Append(HtmlPage.Facts(RunFacts.From(run))).Append('\n');
        body.Append("<h2>Course</h2>\n").Append(HtmlPage.Charts([LossChart(run), .. FigureCharts(run), RateChart(run)])).Append('\n');
        if (run.Result is { } result)
        {
            body.Append("<h2>Cost by stage</h2>\n").Append(Stages(result)).Append('\n');
        }

        if (run.Grids is [.., var (step, file)])
        {
            var row = run.Config.Model.Text is null ? "class" : "caption, counted by the lines of its file, held-out ones first";
            body.Append(Invariant($"<h2>Samples at step {step:N0}</h2>\n<p>A row per {row}; every grid of a run shows the same seeds.</p>\n"))
                .Append(HtmlPage.Picture(File.ReadAllBytes(file), $"samples, a row per {row}"));
        }

        var settings = JsonSerializer.Serialize(run.Config with { ClassNames = [] }, ConfigJson.Default.CheckpointConfig);
        body.Append($"\n<h2>Settings</h2>\n<pre>{HtmlPage.Encode(settings)}</pre>");
        return HtmlPage.Render($"NextPatch: {name}", body.ToString());
    }

    private static string Headline(RunHistory run)
    {
        var model = run.Config.Model;
        return Invariant($"{model.ParameterCount:N0} parameters, grid {model.GridSide}x{model.GridSide} of {model.VocabularySize:N0} codes, ")
            + (model.Text is { } text
                ? Invariant($"captions of up to {text.TokenCount:N0} tokens of {text.FeatureWidth:N0} numbers; ")
                : Invariant($"{model.ClassCount:N0} classes; "))
            + Invariant($"patch sides {string.Join(", ", run.Config.Training?.Sides ?? [1])}.");
    }

    /// <summary>Training and held-out losses by step, with the stages behind them.</summary>
    public static string LossChart(RunHistory run)
    {
        var chart = new SvgChart("optimiser step", "loss, nats per code");
        long? end = null;
        foreach (var stage in run.Points.GroupBy(p => p.PatchSide))
        {
            chart.AddBand(end ?? stage.First().Step, stage.Last().Step, Invariant($"p = {stage.Key}"));
            end = stage.Last().Step;
        }

        chart.AddLine("training", run.Points.Select(p => ((double)p.Step, p.Loss)));
        chart.AddLine("held-out, p = 1", run.HeldOut.Select(p => ((double)p.At.Step, p.Loss)), BestPoint.Lowest);
        return chart.Render();
    }

    private static IEnumerable<string> FigureCharts(RunHistory run)
        => run.Figures.SelectMany(f => f.Values.Keys).Distinct().Select(name =>
        {
            var chart = new SvgChart("optimiser step", name);
            chart.AddLine(
                name, run.Figures.Where(f => f.Values.ContainsKey(name)).Select(f => ((double)f.Step, f.Values[name])), RunFacts.BestOf(name));
            return chart.Render();
        });

    private static string RateChart(RunHistory run)
    {
        var chart = new SvgChart("optimiser step", "learning rate");
        chart.AddLine("learning rate", run.Points.Select(p => ((double)p.Step, p.LearningRate)));
        return chart.Render();
    }

    private static string Stages(RunResult result) => HtmlPage.Table(
    [
        ["stage", "images", "FLOPs per image", "seconds", "ms per image", "FLOPs per second"],
        .. result.Stages.Select(s => (string[])
        [
            Invariant($"p = {s.PatchSide}"), Invariant($"{s.Images:N0}"), Quantity.Decimal(s.FlopsPerImage), Invariant($"{s.Seconds:F1}"),
            s.Images > 0
                ? Invariant($"{s.Seconds * 1000 / s.Images:F2}")
                : "", s.Seconds > 0
                ? Quantity.Decimal(s.FlopsPerImage * s.Images / s.Seconds)
                : "",
        ]),
    ]);

    private static string Invariant(FormattableString text) => text.ToString(CultureInfo.InvariantCulture);
}
