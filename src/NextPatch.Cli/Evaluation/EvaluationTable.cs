using System.Globalization;
using NextPatch.Cli.Rendering;
using NextPatch.Evaluation.Protocol;

namespace NextPatch.Cli.Evaluation;

/// <summary>Figures as lines for people; their names carry the network.</summary>
internal static class EvaluationTable
{
    private const int NameWidth = 24;
    private const int ShownHash = 12;

    public static void Write(Terminal terminal, EvaluationResult result)
    {
        var facts = Figures(result).Concat(Facts(result.Protocol)).Select(f => (f.Name, (string?)f.Value)).ToList();
        terminal.WriteFacts(facts, Math.Max(NameWidth, facts.Max(f => f.Name.Length)));
    }

    private static IEnumerable<(string Name, string Value)> Figures(EvaluationResult result)
        => FigureNames.From(result).Append(
            (Name: "IS, ten splits", Value: result.InceptionScoreTenSplits ?? double.NaN, Deviation: result.InceptionScoreTenSplitsDeviation))
            .Where(f => double.IsFinite(f.Value))
            .Select(f => (f.Name, Text(f.Value) + Spread(f.Deviation)
                + (f.Name == FigureNames.Kernel(result.Protocol.Network) ? Subsets(result.Protocol) : "")));

    /// <summary>Nothing where all subsets gave the same but for rounding: they were the whole sets.</summary>
    private static string Spread(double? deviation) => deviation is > 1e-9 and var spread
        ? $" ± {(spread < 1e-5 ? spread.ToString("0.0e0", CultureInfo.InvariantCulture) : Text(spread))}"
        : "";

    private static string Subsets(EvaluationProtocol protocol)
        => string.Create(CultureInfo.InvariantCulture, $"  ({protocol.KidSubsets} subsets of {protocol.KidSubsetSize:N0} images)");

    private static IEnumerable<(string Name, string Value)> Facts(EvaluationProtocol p) =>
    [
        ("network", $"{p.Network}, weights {p.WeightsHash[..ShownHash]}, resize {p.Resize}"),
        ("samples", $"{Describe(p.Samples)}, {p.ImageSize[1]}x{p.ImageSize[0]}, labels {p.Labels}, rounding {p.Rounding}"),
        ("reference", Describe(
            p.Reference) + (p.ReferenceFeatures is { } n && n != p.Reference.Images ? $"; precision, recall and KID of {n:N0} images" : "")),
        ("seeds", $"samples {p.Seeds.Samples?.ToString(CultureInfo.InvariantCulture) ?? "unknown"}, KID {p.Seeds.Kid}"),
    ];

    private static string Describe(ImageOrigin origin)
        => $"{origin.Name}{(origin.Part is { } part ? $" ({part})" : "")}, "
            + $"{(origin.Images is { } count ? count.ToString("N0", CultureInfo.InvariantCulture) + " images" : "statistics")}, SHA-256 of the "
            + $"{origin.HashOf} {origin.Hash[..ShownHash]}";

    // Adding zero turns -0.000000 into 0.000000.
    private static string Text(double value)
        => (Math.Round(value, 6) + 0.0).ToString(Math.Abs(value) >= 1 ? "0.0000" : "0.000000", CultureInfo.InvariantCulture);
}
