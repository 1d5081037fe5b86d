using System.Globalization;
using NextPatch.Core.Imaging;
using NextPatch.Core.Sampling;
using NextPatch.Evaluation.Protocol;

namespace NextPatch.Cli.Evaluation;

/// <summary>One setting of a sweep and what it gave.</summary>
/// <param name="Sampling">The setting.</param>
/// <param name="Result">The figures.</param>
/// <param name="Images">The first images, of the same seeds and classes at every point.</param>
internal sealed record SweepPoint(SamplingConfig Sampling, EvaluationResult Result, IReadOnlyList<RgbImage> Images)
{
    /// <summary>The setting in short, as it labels a row of the picture.</summary>
    public string Label
        => string.Create(CultureInfo.InvariantCulture, $"cfg {Sampling.GuidanceScale} t {Sampling.Temperature} k {Sampling.TopK} p {Sampling.TopP}");

    /// <summary>Everything but the guidance scale: what points of one curve share.</summary>
    public string Curve => string.Create(CultureInfo.InvariantCulture, $"t {Sampling.Temperature}, k {Sampling.TopK}, p {Sampling.TopP}");
}
