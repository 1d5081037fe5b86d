namespace NextPatch.Torch.Adversarial;

/// <summary>How a discriminator is taught.</summary>
public enum DiscriminatorLoss
{
    /// <summary>Verdicts beyond 1 and -1 count no more (published default).</summary>
    Hinge,

    /// <summary>Softplus, as in StyleGAN.</summary>
    Vanilla,

    /// <summary>Binary cross-entropy.</summary>
    NonSaturating,

    /// <summary>What the published code computes under that name: cross-entropy with prediction and target exchanged, which teaches nothing about fakes.</summary>
    NonSaturatingPublished,
}
