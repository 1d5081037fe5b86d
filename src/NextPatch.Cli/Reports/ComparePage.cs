using System.Globalization;
using System.Text;
using NextPatch.Training;

namespace NextPatch.Cli.Reports;

/// <summary>Runs beside each other, as rows of text and as a page.</summary>
internal static class ComparePage
{
    /// <summary>A row per fact, a column per run; the first row holds their names, facts that all share come last.</summary>
    /// <param name="runs">At least one.</param>
    /// <param name="called">What they are called; null = by their folders.</param>
    public static IReadOnlyList<IReadOnlyList<string>> Rows(IReadOnlyList<RunHistory> runs, IReadOnlyList<string>? called = null)
    {
        var facts = runs.Select(run => RunFacts.From(run).Concat(Settings(run)).ToDictionary(f => f.Name, f => f.Value)).ToList();
        var names = facts.SelectMany(f => f.Keys).Distinct().Where(n => n is not ("codes" or "tokenizer")).ToList();
        return [["", .. called ?? Names(runs)], .. names.Select(name => (string[])[name, .. facts.Select(f => f.GetValueOrDefault(name, "-"))])];
    }

    /// <param name="runs">At least one.</param>
    /// <param name="samples">A picture per run, as PNG; null where it could not draw, and none at all where none was asked for.</param>
    /// <param name="called">What the runs are called; null = by their folders.</param>
    public static string Render(IReadOnlyList<RunHistory> runs, IReadOnlyList<byte[]?> samples, IReadOnlyList<string>? called = null)
    {
        var names = called ?? Names(runs);
        var body = new StringBuilder($"<h1>{runs.Count} runs</h1>\n").Append(HtmlPage.Table(Rows(runs, called)))
            .Append("\n<h2>Held-out loss at p = 1</h2>\n<p>Rings mark the lowest of each run.</p>\n").Append(HtmlPage.Charts(
                Curves("images seen", p => p.Images), Curves("FLOPs, as planned", p => p.Flops),
                    Curves("seconds in training steps", p => p.Seconds)));
        var figures = runs.SelectMany(r => r.Figures.SelectMany(f => f.Values.Keys)).Distinct().ToList();
        if (figures.Count > 0)
        {
            body.Append("\n<h2>Figures of drawn images</h2>\n").Append(HtmlPage.Charts(figures.Select(Figure)));
        }

        if (samples.Count > 0)
        {
            body.Append("\n<h2>Samples</h2>\n<p>A row per class or caption; the same seeds and rows in every run.</p>\n<div class=\"side\">");
            for (var i = 0; i < runs.Count; i++)
            {
                body.Append($"<figure><figcaption>{HtmlPage.Encode(names[i])}</figcaption>")
                    .Append(samples[i] is { } png ? HtmlPage.Picture(png, $"samples of {names[i]}") : "<p>None could be drawn.</p>")
                        .Append("</figure>");
            }

            body.Append("</div>");
        }

        return HtmlPage.Render("NextPatch: comparison of runs", body.ToString());

        string Curves(string label, Func<RunPoint, double> x)
        {
            var chart = new SvgChart(label, "held-out loss, nats per code");
            for (var i = 0; i < runs.Count; i++)
            {
                chart.AddLine(names[i], runs[i].HeldOut.Select(p => (x(p.At), p.Loss)), BestPoint.Lowest);
            }

            return chart.Render();
        }

        string Figure(string figure)
        {
            var chart = new SvgChart("optimiser step", figure);
            for (var i = 0; i < runs.Count; i++)
            {
                chart.AddLine(
                    names[i], runs[i].Figures.Where(f => f.Values.ContainsKey(figure)).Select(f => ((double)f.Step, f.Values[figure])),
                    RunFacts.BestOf(figure));
            }

            return chart.Render();
        }
    }

    /// <summary>The last parts of their paths that tell them apart.</summary>
    private static IReadOnlyList<string> Names(IReadOnlyList<RunHistory> runs)
    {
        var paths = runs.Select(r => Path.TrimEndingDirectorySeparator(Path.GetFullPath(r.Folder)).Split(Path.DirectorySeparatorChar)).ToList();
        for (var length = 1; ; length++)
        {
            var names = paths.ConvertAll(p => string.Join('/', p.TakeLast(length)));
            if (names.Distinct().Count() == names.Count || length >= paths.Max(p => p.Length))
            {
                return names;
            }
        }
    }

    private static IEnumerable<(string Name, string Value)> Settings(RunHistory run)
    {
        var (model, training) = (run.Config.Model, run.Config.Training);
        yield return ("parameters", model.ParameterCount.ToString("N0", CultureInfo.InvariantCulture));
        yield return ("patch sides", string.Join(", ", training?.Sides ?? [1]));
        if (training is not null)
        {
            yield return ("batch", training.BatchSize.ToString(CultureInfo.InvariantCulture));
            yield return ("learning rate", training.LearningRate.ToString(CultureInfo.InvariantCulture));
            yield return ("grouping", training.Grouping);
            yield return ("seed", training.Seed.ToString(CultureInfo.InvariantCulture));
        }
    }
}
