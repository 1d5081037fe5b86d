using static TorchSharp.torch;

namespace NextPatch.Training.Tokenizer;

/// <summary>What one training step measured.</summary>
public sealed record TokenizerStepResult
{
    /// <summary>False: a loss or gradient was not finite, and nothing was changed.</summary>
    public bool IsTaken
        => double.IsFinite(Loss) && double.IsFinite(Norm) && double.IsFinite(DiscriminatorLoss ?? 0) && double.IsFinite(DiscriminatorNorm ?? 0);

    /// <summary>Loss of the tokenizer.</summary>
    public required double Loss { get; init; }

    /// <summary>Norm of the tokenizer's gradients before clipping.</summary>
    public required double Norm { get; init; }

    /// <summary>Mean squared difference of pixels, which span 2.</summary>
    public double SquaredError { get; init; }

    /// <summary>Mean perceptual distance, not weighted; null without its weights.</summary>
    public double? Perceptual { get; init; }

    /// <summary>Generator loss, not weighted; null where the discriminator took no part.</summary>
    public double? Adversarial { get; init; }

    /// <summary>Factor of the adversarial loss; null where the discriminator took no part.</summary>
    public double? AdaptiveWeight { get; init; }

    /// <summary>Loss of the discriminator; null where it took no part.</summary>
    public double? DiscriminatorLoss { get; init; }

    /// <summary>Norm of the discriminator's gradients before clipping; null where it took no part.</summary>
    public double? DiscriminatorNorm { get; init; }

    /// <summary>Mean squared distance of codes to latents.</summary>
    public double CodebookLoss { get; init; }

    /// <summary>Weighted.</summary>
    public double CommitmentLoss { get; init; }

    /// <summary>Weighted.</summary>
    public double EntropyLoss { get; init; }

    /// <summary>Codes of the batch; empty while nothing is quantised.</summary>
    public IReadOnlyList<long> Codes { get; init; } = [];

    /// <summary>Latents of the batch, float [B, W, h, w], in the caller's dispose scope; null while nothing is quantised.</summary>
    public Tensor? Latents { get; init; }
}
