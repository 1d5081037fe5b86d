namespace NextPatch.Training.Tokenizer;

/// <summary>One line of a tokenizer run's metrics; means and counts are over the steps since the line before.</summary>
public sealed record TokenizerRunProgress
{
    /// <summary>Steps done.</summary>
    public required long Step { get; init; }

    /// <summary>Steps of the run.</summary>
    public required long Steps { get; init; }

    /// <summary>Mean total loss of the reconstruction since the last report.</summary>
    public required double Loss { get; init; }

    /// <summary>Of the training batches, dB.</summary>
    public required double Psnr { get; init; }

    /// <summary>Share of the codebook chosen at least once; null while nothing is quantised.</summary>
    public double? CodebookUsage { get; init; }

    /// <summary>exp(entropy) of the chosen codes; null while nothing is quantised.</summary>
    public double? Perplexity { get; init; }

    /// <summary>Codes revived.</summary>
    public int Revived { get; init; }

    /// <summary>Mean perceptual distance; null without its weights.</summary>
    public double? Perceptual { get; init; }

    /// <summary>The last step; its adversarial terms, learning rate and gradient norms are shown as they are.</summary>
    public required TokenizerStepResult Last { get; init; }

    /// <summary>The rate of the last step.</summary>
    public required double LearningRate { get; init; }

    /// <summary>Images seen.</summary>
    public required long Images { get; init; }

    /// <summary>Images trained on per second since the last report.</summary>
    public double ImagesPerSecond { get; init; }

    /// <summary>Share of the time that training waited for images.</summary>
    public double DataWaitShare { get; init; }

    /// <summary>Estimated seconds to the end, or null.</summary>
    public double SecondsLeft { get; init; }

    /// <summary>Steps so far that were not taken.</summary>
    public long SkippedSteps { get; init; }

    /// <summary>Held-out images, where they were judged at this step.</summary>
    public TokenizerValidation? HeldOut { get; init; }
}
