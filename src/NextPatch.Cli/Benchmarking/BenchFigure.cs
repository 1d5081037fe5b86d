using NextPatch.Cli.Rendering;
using Spectre.Console;

namespace NextPatch.Cli.Benchmarking;

/// <summary>One measured number, as <c>--json</c> of a benchmark lists it.</summary>
/// <param name="Name">What was measured: patch side, part, and whether it is the median or the minimum of the rounds.</param>
/// <param name="Value">The figure.</param>
/// <param name="Unit">s, s/image, GB/s; of a ratio what it is of.</param>
/// <param name="Baseline">The same figure written the published way, in the same rounds; for a ratio between patch sides its roofline in
/// FLOPs.</param>
/// <param name="Ratio">Value / baseline: the median of the rounds' ratios, or minimum over minimum.</param>
/// <param name="FloorShare">Time of the bare matrix products (of the bytes, for the optimiser) in the same rounds / value; 1 = nothing is
/// wasted.</param>
internal sealed record BenchFigure(string Name, double Value, string Unit, double? Baseline = null, double? Ratio = null, double? FloorShare = null)
{
    public static double Median(IEnumerable<double> values)
    {
        var sorted = values.Order().ToArray();
        return (sorted[(sorted.Length - 1) / 2] + sorted[sorted.Length / 2]) / 2;
    }

    /// <summary>Figures as a table, or as JSON.</summary>
    public static void Write(Terminal terminal, bool asJson, IReadOnlyList<BenchFigure> figures)
    {
        if (asJson)
        {
            terminal.WriteJson(figures);
            return;
        }

        var table = new Table().Border(TableBorder.Rounded);
        table.AddColumn("figure");
        foreach (var heading in (string[])["value", "unit", "baseline", "ratio", "share of the roofline"])
        {
            table.AddColumn(new TableColumn(heading).RightAligned());
        }

        foreach (var f in figures)
        {
            table.AddRow(f.Name, Number(f.Value), f.Unit, Number(f.Baseline), Number(f.Ratio), f.FloorShare is { } share ? $"{share:P0}" : "");
        }

        terminal.Output.Write(table);
    }

    private static string Number(double? value) => value switch
    {
        null => "",
        >= 1000 => Quantity.Decimal(value.Value),
        > -0.1 and < 0.1 => $"{value:G3}", // a small model's step takes microseconds
        _ => $"{value:0.####}",
    };
}
