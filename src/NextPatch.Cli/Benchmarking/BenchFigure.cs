namespace NextPatch.Cli.Benchmarking;

/// <summary>One measured number, as <c>bench --json</c> lists it.</summary>
/// <param name="Name">What was measured: patch side, part, and whether it is the median or the minimum of the rounds.</param>
/// <param name="Value">The figure.</param>
/// <param name="Unit">Its unit.</param>
/// <param name="Baseline">The same figure of the step written the published way, in the same rounds; for a ratio between patch sides its roofline in FLOPs.</param>
/// <param name="Ratio">Value / baseline: the median of the rounds' ratios, or minimum over minimum.</param>
/// <param name="FloorShare">Time of the bare matrix products (of the bytes, for the optimiser) in the same rounds / value; 1 = nothing is wasted.</param>
internal sealed record BenchFigure(string Name, double Value, string Unit, double? Baseline = null, double? Ratio = null, double? FloorShare = null)
{
    public static double Median(IEnumerable<double> values)
    {
        var sorted = values.Order().ToArray();
        return (sorted[(sorted.Length - 1) / 2] + sorted[sorted.Length / 2]) / 2;
    }
}
