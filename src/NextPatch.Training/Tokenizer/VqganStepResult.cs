namespace NextPatch.Training.Tokenizer;

/// <summary>What one training step measured.</summary>
/// <param name="GeneratorLoss">Loss of the tokenizer.</param>
/// <param name="DiscriminatorLoss">Loss of the discriminator.</param>
/// <param name="GeneratorNorm">Norm of the tokenizer's gradients before clipping.</param>
/// <param name="DiscriminatorNorm">Norm of the discriminator's gradients before clipping.</param>
/// <param name="CodebookLoss">Mean squared distance of codes to latents.</param>
/// <param name="CommitmentLoss">Weighted.</param>
/// <param name="EntropyLoss">Weighted.</param>
/// <param name="Codes">Codes of the batch.</param>
public sealed record VqganStepResult(
    double GeneratorLoss, double DiscriminatorLoss, double GeneratorNorm, double DiscriminatorNorm, double CodebookLoss, double CommitmentLoss, double EntropyLoss, IReadOnlyList<long> Codes);
