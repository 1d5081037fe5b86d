using System.Globalization;
using NextPatch.Cli.Rendering;
using NextPatch.Evaluation.Protocol;

namespace NextPatch.Cli.Evaluation;

/// <summary>Figures as lines for people; their names carry the network.</summary>
internal static class EvaluationTable
{
    private const int ShownHash = 12;

    public static void Write(Terminal terminal, EvaluationResult result)
    {
        foreach (var (name, value) in Figures(result).Concat(Facts(result.Protocol)))
        {
            terminal.Data.WriteLine($"{name,-24} {value}");
        }
    }

    /// <summary>FID, or FD-resnet20: a Fréchet distance in other features has another name.</summary>
    public static string NameOfDistance(string network) => network == MetricChoice.FidNetwork ? "FID" : $"FD-{network}";

    /// <summary>Inception Score, or IS-resnet20.</summary>
    public static string NameOfScore(string network) => network == MetricChoice.FidNetwork ? "Inception Score" : $"IS-{network}";

    private static IEnumerable<(string Name, string Value)> Figures(EvaluationResult r)
    {
        var network = r.Protocol.Network;
        string Named(string name) => network == MetricChoice.FidNetwork ? name : $"{name}-{network}";
        (string, double?, double?)[] figures =
        [
            (NameOfDistance(network), r.Fd, null), ("sFID", r.Sfid, null), (NameOfScore(network), r.InceptionScore, r.InceptionScoreDeviation),
            (Named("precision"), r.Precision, null), (Named("recall"), r.Recall, null), (Named("KID"), r.Kid, r.KidDeviation),
        ];
        return figures.Where(f => f.Item2 is not null).Select(f => (f.Item1, f.Item3 is { } deviation ? $"{Text(f.Item2!.Value)} ± {Text(deviation)}" : Text(f.Item2!.Value)));
    }

    private static IEnumerable<(string Name, string Value)> Facts(EvaluationProtocol p) =>
    [
        ("network", $"{p.Network}, weights {p.WeightsHash[..ShownHash]}, resize {p.Resize}"),
        ("samples", $"{Describe(p.Samples)}, {p.ImageSize[1]}x{p.ImageSize[0]}, labels {p.Labels}, rounding {p.Rounding}"),
        ("reference", Describe(p.Reference) + (p.ReferenceFeatures is { } n && n != p.Reference.Images ? $"; precision, recall and KID of {n:N0} images" : "")),
        ("seeds", $"samples {p.Seeds.Samples?.ToString(CultureInfo.InvariantCulture) ?? "unknown"}, KID {p.Seeds.Kid}"),
    ];

    private static string Describe(ImageOrigin origin)
        => $"{origin.Name}{(origin.Part is { } part ? $" ({part})" : "")}, {(origin.Images is { } count ? count.ToString("N0", CultureInfo.InvariantCulture) + " images" : "statistics")}, SHA-256 of the {origin.HashOf} {origin.Hash[..ShownHash]}";

    private static string Text(double value) => value.ToString(Math.Abs(value) >= 1 ? "0.0000" : "0.000000", CultureInfo.InvariantCulture);
}
