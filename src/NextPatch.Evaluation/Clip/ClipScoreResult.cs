namespace NextPatch.Evaluation.Clip;

/// <summary>A CLIP score and what it is of.</summary>
public sealed record ClipScoreResult
{
    /// <summary>Mean cosine of images and their prompts, -1 to 1.</summary>
    public required double ClipScore { get; init; }

    /// <summary>Standard error of the mean over images; null for one image.</summary>
    public double? StandardError { get; init; }

    /// <summary>Number of images.</summary>
    public required int Images { get; init; }

    /// <summary>Prompts that are longer than CLIP reads; their ends did not count.</summary>
    public required int CutPrompts { get; init; }

    /// <summary>Name of the file or folder of images.</summary>
    public required string Samples { get; init; }

    /// <summary>Name of the list of prompts.</summary>
    public required string Prompts { get; init; }

    /// <summary>SHA-256 of CLIP's weights, lower-case hexadecimal.</summary>
    public required string WeightsHash { get; init; }
}
