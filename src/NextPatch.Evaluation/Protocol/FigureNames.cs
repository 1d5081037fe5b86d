
namespace NextPatch.Evaluation.Protocol;

/// <summary>What figures are called: FID and KID under the FID Inception network, FD-resnet20 and KID-resnet20 under another.</summary>
internal static class FigureNames
{
    /// <summary>FID, or FD-resnet20.</summary>
    public static string Distance(string network) => network == MetricChoice.FidNetwork ? "FID" : $"FD-{network}";

    /// <summary>Inception Score, or IS-resnet20.</summary>
    public static string Score(string network) => network == MetricChoice.FidNetwork ? "Inception Score" : $"IS-{network}";

    /// <summary>KID, or KID-resnet20.</summary>
    public static string Kernel(string network) => network == MetricChoice.FidNetwork ? "KID" : $"KID-{network}";

    /// <summary>The figures that were measured.</summary>
    public static IEnumerable<(string Name, double Value, double? Deviation)> From(EvaluationResult result)
    {
        var network = result.Protocol.Network;
        string Named(string name) => network == MetricChoice.FidNetwork ? name : $"{name}-{network}";
        (string, double?, double?)[] figures =
        [
            (Distance(network), result.Fd, null), (Named("sFID"), result.Sfid, null),
            (Score(network), result.InceptionScore, result.InceptionScoreDeviation),
            (Named("precision"), result.Precision, null), (Named("recall"), result.Recall, null), (Kernel(network), result.Kid, result.KidDeviation),
        ];
        return figures.Where(f => f.Item2 is not null).Select(f => (f.Item1, f.Item2!.Value, f.Item3));
    }
}
