using System.Globalization;
using NextPatch.Cli.Rendering;
using NextPatch.Training;

namespace NextPatch.Cli.Reports;

/// <summary>What a person wants to know of a run, as names and values.</summary>
internal static class RunFacts
{
    public static IReadOnlyList<(string Name, string Value)> From(RunHistory run)
    {
        var (result, last) = (run.Result, run.Points.Count > 0 ? run.Points[^1] : null);
        var facts = new List<(string, string)>
        {
            ("steps", Invariant($"{result?.Step ?? last?.Step ?? 0:N0}{(result is null ? ", not finished" : "")}")),
            ("images seen", Invariant($"{result?.Images ?? last?.Images ?? 0:N0}")),
            ("held-out loss, nats per code", Loss(result?.HeldOutLoss ?? LastHeldOut(run))),
            ("the same with the EMA weights", Loss(result?.EmaHeldOutLoss)),
            ("guessing costs ln V", Loss(run.UniformLoss)),
            ("cost planned, of next-token training", result is null ? "" : Invariant($"{result.PlannedRelativeCost:F3}")),
            ("cost measured", result?.MeasuredRelativeCost is { } measured ? Invariant($"{measured:F3}") : ""),
            ("FLOPs planned", result is null ? "" : Quantity.Decimal(result.PlannedFlops)),
            ("time in training steps", Quantity.Duration(result?.Seconds ?? last?.Seconds ?? 0)),
            ("skipped steps", result?.SkippedSteps is > 0 and var skipped ? Invariant($"{skipped:N0}") : ""),
        };
        var figures = result?.Figures ?? (run.Figures.Count > 0 ? run.Figures[^1].Values : null);
        facts.AddRange((figures ?? new Dictionary<string, double>()).Select(f => (f.Key, Invariant($"{f.Value:0.####}"))));
        facts.Add(("codes", run.Codes ?? ""));
        facts.Add(("tokenizer", run.Config.TokenizerPath ?? ""));
        return [.. facts.Where(f => f.Item2.Length > 0)];
    }

    /// <summary>Which way a figure is better; scores, precision and recall grow.</summary>
    public static BestPoint BestOf(string figure)
        => figure.StartsWith("is-", StringComparison.Ordinal) || figure.Contains("score", StringComparison.Ordinal)
            || figure.StartsWith("precision", StringComparison.Ordinal) || figure.StartsWith("recall", StringComparison.Ordinal)
            ? BestPoint.Highest
            : BestPoint.Lowest;

    private static double? LastHeldOut(RunHistory run) => run.HeldOut.Select(p => (double?)p.Loss).LastOrDefault();

    private static string Loss(double? loss) => loss is { } value ? Invariant($"{value:F4}") : "";

    private static string Invariant(FormattableString text) => text.ToString(CultureInfo.InvariantCulture);
}
