namespace NextPatch.Torch.Adversarial;

/// <summary>How a generator is taught by a discriminator's verdict.</summary>
public enum GeneratorLoss
{
    /// <summary>The verdict itself (published default).</summary>
    Hinge,

    /// <summary>Binary cross-entropy.</summary>
    NonSaturating,

    /// <summary>What the published code computes under that name: cross-entropy with prediction and target exchanged.</summary>
    NonSaturatingPublished,
}
