using NextPatch.Core.Configuration;

namespace NextPatch.Cli.Quickstart;

/// <summary>What <c>report.json</c> holds.</summary>
internal sealed record QuickstartResult
{
    /// <summary>Wall-clock seconds from start to report.</summary>
    public required double Seconds { get; init; }

    /// <summary>Accuracy of the judging classifier on held-out real images.</summary>
    public required double ClassifierHeldOutAccuracy { get; init; }

    /// <summary>Share of samples that the classifier sees as the requested class.</summary>
    public required double ClassAgreement { get; init; }

    /// <summary>The same for the tokenizer's reconstructions of held-out images: the ceiling.</summary>
    public required double ReconstructionAgreement { get; init; }

    /// <summary>Mean pairwise feature distance of agreeing samples within a class over that of real images; null when too few agree.</summary>
    public required double? Diversity { get; init; }

    /// <summary>Share of samples nearer to a training image than the nearest 1 % of held-out images are.</summary>
    public required double CopyRate { get; init; }

    public required double PlannedRelativeCost { get; init; }

    /// <summary>Training seconds over those that next-token training on as many images would take at the measured speed of the last stage.</summary>
    public required double MeasuredRelativeCost { get; init; }

    /// <summary>Held-out loss at p = 1 of the weights that were sampled, in nats per code.</summary>
    public required double FinalValidationLoss { get; init; }

    /// <summary>Which weights were sampled: "ema" or "model", whichever had the lower held-out loss.</summary>
    public required string SampledWeights { get; init; }

    public required IReadOnlyDictionary<string, double> ClassAgreementByClass { get; init; }

    /// <summary>Peak signal-to-noise ratio of the reconstructions of held-out images, in dB.</summary>
    public required double ReconstructionPsnr { get; init; }

    public required IReadOnlyList<StageTiming> Stages { get; init; }

    /// <summary>Seconds by part of the run.</summary>
    public required IReadOnlyDictionary<string, double> SecondsByPart { get; init; }

    public required string Machine { get; init; }

    public required string Version { get; init; }

    public required QuickstartSettings Settings { get; init; }
}

/// <summary>Planned and measured cost of a stage.</summary>
internal sealed record StageTiming(
    int PatchSide, int TokensPerImage, long Images, double PlannedPerImage, double Seconds, double MillisecondsPerImage)
{
    public static StageTiming Create(StageCost cost, double seconds, long images)
        => new(cost.Stage.PatchSide, cost.TokensPerImage, images, cost.RelativeFlopsPerImage, seconds, seconds * 1000 / images);
}
