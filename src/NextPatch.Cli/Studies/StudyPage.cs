using System.Globalization;
using System.Text;
using NextPatch.Cli.Rendering;
using NextPatch.Cli.Reports;
using NextPatch.Training.Gpt;

namespace NextPatch.Cli.Studies;

/// <summary><c>study.html</c>: curves against what was spent, tables with spread and pairs, samples.</summary>
internal static class StudyPage
{
    private const string Loss = "held-out loss, nats per code";

    public static string Render(StudyResults results, string description)
    {
        var (plan, figures) = (results.Plan, results.Figures);
        var model = plan.ConfigOf(plan.File.Schedules[0]).Model;
        var body = new StringBuilder("<h1>Study</h1>\n").Append($"<p class=\"lead\">{HtmlPage.Encode(description)}</p>\n").Append(HtmlPage.Facts(
        [
            ("model", Invariant($"{model.ParameterCount:N0} parameters, {model.CodesPerImage} codes of {model.VocabularySize:N0}")),
            ("training images", Invariant($"{plan.TrainingImages:N0}")),
            ("images seen at equal images", Invariant($"{plan.Images:N0}, {(double)plan.Images / plan.TrainingImages:F1} epochs, ")
                + Invariant($"{(double)plan.Images * model.CodesPerImage / model.ParameterCount:F0} codes per parameter")),
            ("seeds", string.Join(", ", plan.File.Seeds)),
            ("chosen on a seed that is not reported", plan.File.Tuning is { } tuning
                ? Invariant($"learning rate by held-out loss, guidance by distance, seed {tuning.Seed}, trials of {tuning.Share:P0} of a run")
                : "nothing"),
        ]));
        foreach (var figure in figures.Where(StudyMetric.IsDistance))
        {
            body.Append($"\n<h2>{HtmlPage.Encode(figure)}</h2>\n<p>Means over seeds, images drawn with EMA weights. Rings mark the lowest.</p>\n")
                .Append(HtmlPage.Charts(Curves(results, figure, p => p.Figures.TryGetValue(figure, out var value) ? value : null)));
        }

        body.Append("\n<h2>Held-out loss at p = 1, EMA weights</h2>\n").Append(HtmlPage.Charts(Curves(results, Loss, LossOf)));
        body.Append("\n<h2>At the end of the runs</h2>\n<p>Mean ± standard deviation over seeds.</p>\n")
            .Append(HtmlPage.Table(Ends(results, figures)));
        body.Append($"\n<h2>Pairs by seed</h2>\n<p>Difference to {HtmlPage.Encode(results.Schedules[0].Schedule.Name)} with the same seed, so with "
            + $"the "
            + "same initial weights and order of images; below zero is better for losses and distances.</p>\n")
                .Append(HtmlPage.Table(Pairs(results, figures)));
        body.Append("\n<h2>Cost</h2>\n<p>Against the first schedule; seconds in training steps, of all threads (processor) and by the clock, which "
            + "says little on a machine that does other work too.</p>\n").Append(HtmlPage.Table(Costs(results)));
        if (results.Schedules.Any(s => s.Rate?.Tried.Count > 0 || s.Guidance?.Tried.Count > 0))
        {
            body.Append("\n<h2>What was tried</h2>\n").Append(HtmlPage.Table(Tried(results)));
        }

        return HtmlPage.Render("NextPatch: study", body.Append(Samples(results)).ToString());
    }

    private static IEnumerable<string> Curves(StudyResults results, string figure, Func<RunMark, double?> value) =>
    [
        Curve(results, figure, "training FLOPs", p => p.Flops, value), Curve(results, figure, "seconds of the processor", p => p.CpuSeconds, value),
        Curve(results, figure, "seconds by the clock", p => p.WallSeconds, value), Curve(results, figure, "images seen", p => p.Images, value),
    ];

    private static string Curve(StudyResults results, string figure, string label, Func<RunMark, double> x, Func<RunMark, double?> value)
    {
        var chart = new SvgChart(label, figure);
        foreach (var schedule in results.Schedules)
        {
            // A point of the line is the mean of as many runs as have got so far.
            var points = Enumerable.Range(0, results.Plan.File.Points.Count)
                .Select(i => schedule.Runs.Where(r => r.Points.Count > i && value(r.Points[i]) is not null).Select(r => r.Points[i]).ToList())
                .Where(at => at.Count > 0).Select(at => (at.Average(x), at.Average(p => value(p)!.Value)));
            chart.AddLine(schedule.Schedule.Name, points, BestPoint.Lowest);
        }

        return chart.Render();
    }

    private static IEnumerable<IReadOnlyList<string>> Ends(StudyResults results, IReadOnlyList<string> figures)
    {
        yield return ["schedule", "seeds", "learning rate", "guidance", "images", "FLOPs", "loss", "EMA loss", .. figures];
        foreach (var schedule in results.Schedules.Where(s => s.Finished.Count > 0))
        {
            var ends = schedule.Finished.Select(r => r.Points[^1]).ToList();
            yield return
            [
                schedule.Schedule.Name, Invariant($"{ends.Count}"), Invariant($"{schedule.Rate?.Rate:0.####}"),
                Invariant($"{schedule.Guidance?.Scale:0.##}"), Invariant($"{ends.Average(p => p.Images):N0}"),
                Quantity.Decimal(ends.Average(p => p.Flops)),
                Spread(ends.Select(p => p.Loss)), Spread(ends.Select(p => p.EmaLoss)), .. figures.Select(f => Spread(ends.Select(p => Figure(p, f)))),
            ];
        }
    }

    private static IEnumerable<IReadOnlyList<string>> Pairs(StudyResults results, IReadOnlyList<string> figures)
    {
        List<(string Name, Func<RunMark, double?> Of)> values =
            [("EMA loss", LossOf), .. figures.Select(f => (f, (Func<RunMark, double?>)(p => Figure(p, f))))];
        yield return ["schedule", "figure", .. results.Plan.File.Seeds.Select(s => Invariant($"seed {s}")), "mean"];
        var first = results.Schedules[0].Finished.ToDictionary(r => r.Seed, r => r.Points[^1]);
        foreach (var schedule in results.Schedules.Skip(1))
        {
            foreach (var (name, of) in values)
            {
                var differences = results.Plan.File.Seeds.Select(seed => schedule.Finished.FirstOrDefault(r => r.Seed == seed) is { } run
                    && first.TryGetValue(seed, out var other) ? of(run.Points[^1]) - of(other) : null).ToList();
                if (differences.Exists(d => d is not null))
                {
                    yield return [schedule.Schedule.Name, name, .. differences.Select(d => Invariant($"{d:+0.0000;-0.0000}")),
                        Spread(differences, "+0.0000;-0.0000")];
                }
            }
        }
    }

    private static IEnumerable<IReadOnlyList<string>> Costs(StudyResults results)
    {
        yield return ["schedule", "planned FLOPs", "done", "processor seconds", "measured", "clock seconds", "measured"];
        var first = results.Schedules[0].Finished.Select(r => r.Points[^1]).ToList();
        foreach (var schedule in results.Schedules.Where(s => s.Finished.Count > 0))
        {
            var ends = schedule.Finished.Select(r => r.Points[^1]).ToList();
            var (cpu, wall) = (ends.Average(p => p.CpuSeconds), ends.Average(p => p.WallSeconds));
            string Ratio(double value, Func<RunMark, double> of) => first.Count == 0 ? "" : Invariant($"{value / first.Average(of):F3}");
            yield return
            [
                schedule.Schedule.Name, Invariant($"{schedule.Cost.TotalFlops / results.Schedules[0].Cost.TotalFlops:F3}"),
                Ratio(ends.Average(p => p.Flops), p => p.Flops), Invariant($"{cpu:F0}"), Ratio(cpu, p => p.CpuSeconds), Invariant($"{wall:F0}"),
                Ratio(wall, p => p.WallSeconds),
            ];
        }
    }

    private static IEnumerable<IReadOnlyList<string>> Tried(StudyResults results)
    {
        // Beyond the edge of what was tried there may be a better one.
        static string Taken(double value, double taken, IEnumerable<double> all)
            => value != taken ? "" : all.Count() > 2 && (value == all.Min() || value == all.Max()) ? "taken, at the edge of what was tried" : "taken";

        yield return ["schedule", "tried", "gave", ""];
        foreach (var schedule in results.Schedules)
        {
            foreach (var (rate, loss) in schedule.Rate?.Tried ?? [])
            {
                yield return
                [
                    schedule.Schedule.Name, Invariant($"learning rate {rate:0.#####}"),
                    loss < double.MaxValue ? Invariant($"held-out loss {loss:F4}") : "no finite loss",
                    Taken(rate, schedule.Rate!.Value.Rate, schedule.Rate.Value.Tried.Select(t => t.Rate)),
                ];
            }

            foreach (var (scale, distance) in schedule.Guidance?.Tried ?? [])
            {
                yield return
                [
                    schedule.Schedule.Name, Invariant($"guidance {scale:0.##}"), Invariant($"distance {distance:F3}"),
                    Taken(scale, schedule.Guidance!.Value.Scale!.Value, schedule.Guidance.Value.Tried.Select(t => t.Scale)),
                ];
            }
        }
    }

    /// <summary>Of the first seed that a schedule has finished.</summary>
    private static string Samples(StudyResults results)
    {
        var pictures = results.Schedules.Select(s => (s.Schedule.Name, File: s.Finished.Select(
            r => Path.Combine(r.Run.Folder, StudyWorker.SamplesFile)).FirstOrDefault(File.Exists))).Where(p => p.File is not null).ToList();
        const string Heading = "\n<h2>Samples</h2>\n<p>A row per class or caption; the same seeds and rows in every run.</p>\n<div class=\"side\">";
        return pictures.Count == 0 ? "" : Heading
            + string.Concat(pictures.Select(p => $"<figure><figcaption>{HtmlPage.Encode(p.Name)}</figcaption>"
                + HtmlPage.Picture(File.ReadAllBytes(p.File!), $"samples of {p.Name}") + "</figure>")) + "</div>";
    }

    private static double? LossOf(RunMark point) => point.EmaLoss ?? point.Loss;

    private static double? Figure(RunMark point, string name) => point.Figures.TryGetValue(name, out var value) ? value : null;

    private static string Spread(IEnumerable<double?> values, string format = "0.0000")
    {
        var known = values.Where(v => v is not null).Select(v => v!.Value).ToList();
        if (known.Count == 0)
        {
            return "";
        }

        var mean = known.Average();
        var text = mean.ToString(format, CultureInfo.InvariantCulture);
        return known.Count == 1 ? text
            : Invariant($"{text} ± {Math.Sqrt(known.Sum(v => (v - mean) * (v - mean)) / (known.Count - 1)):0.0000}");
    }

    private static string Invariant(FormattableString text) => text.ToString(CultureInfo.InvariantCulture);
}
