namespace NextPatch.Evaluation.Protocol;

/// <summary>Figures, the protocol they were measured by, and what speaks against them. Figures that were not asked for are null.</summary>
public sealed record EvaluationResult
{
    /// <summary>Fréchet distance in the network's pooled features.</summary>
    public double? Fd { get; init; }

    /// <summary>The same, where the network is the FID Inception network.</summary>
    public double? Fid { get; init; }

    /// <summary>Fréchet distance in spatial features.</summary>
    public double? Sfid { get; init; }

    /// <summary>Of the samples, mean over splits of 5,000 images in file order.</summary>
    public double? InceptionScore { get; init; }

    /// <summary>Standard deviation over the splits; null where there is one.</summary>
    public double? InceptionScoreDeviation { get; init; }

    /// <summary>The same in ten splits, the other convention (equal at 50,000 images); null for fewer than ten images.</summary>
    public double? InceptionScoreTenSplits { get; init; }

    /// <summary>Standard deviation over the ten splits.</summary>
    public double? InceptionScoreTenSplitsDeviation { get; init; }

    /// <summary>The share of samples inside the reference's manifold, 0 to 1; null when not measured.</summary>
    public double? Precision { get; init; }

    /// <summary>The share of the reference inside the samples' manifold, 0 to 1; null when not measured.</summary>
    public double? Recall { get; init; }

    /// <summary>Mean over the subsets.</summary>
    public double? Kid { get; init; }

    /// <summary>Standard deviation over the subsets.</summary>
    public double? KidDeviation { get; init; }

    /// <summary>How the figures were measured.</summary>
    public required EvaluationProtocol Protocol { get; init; }

    /// <summary>Notes for the user, a sentence each.</summary>
    public required IReadOnlyList<string> Warnings { get; init; }
}
