using static TorchSharp.torch;
using static TorchSharp.torch.nn;

namespace NextPatch.Torch.Adversarial;

/// <summary>The losses between generator and discriminator; each returns a scalar in the caller's dispose scope.</summary>
/// <remarks>Source: VQGAN (arXiv 2012.09841) and the published code, whose discriminator losses carry a factor of one half.</remarks>
internal static class AdversarialLosses
{
    /// <param name="real">Verdicts on real images, of any shape.</param>
    /// <param name="fake">Verdicts on reconstructions.</param>
    /// <param name="kind">Which loss.</param>
    public static Tensor Discriminator(Tensor real, Tensor fake, DiscriminatorLoss kind)
    {
        using var scope = NewDisposeScope();
        var sum = kind switch
        {
            DiscriminatorLoss.Hinge => functional.relu(1 - real).mean() + functional.relu(1 + fake).mean(),
            DiscriminatorLoss.Vanilla or DiscriminatorLoss.NonSaturating => functional.softplus(-real).mean() + functional.softplus(fake).mean(),
            DiscriminatorLoss.NonSaturatingPublished => CrossEntropy(ones_like(real), real) + CrossEntropy(zeros_like(fake), fake),
            _ => throw new ArgumentOutOfRangeException(nameof(kind), kind, "unknown loss"),
        };
        return (0.5 * sum).MoveToOuterDisposeScope();
    }

    /// <param name="fake">Verdicts on reconstructions.</param>
    /// <param name="kind">Which loss.</param>
    public static Tensor Generator(Tensor fake, GeneratorLoss kind)
    {
        using var scope = NewDisposeScope();
        var loss = kind switch
        {
            GeneratorLoss.Hinge => -fake.mean(),
            GeneratorLoss.NonSaturating => functional.softplus(-fake).mean(),
            GeneratorLoss.NonSaturatingPublished => CrossEntropy(ones_like(fake), fake),
            _ => throw new ArgumentOutOfRangeException(nameof(kind), kind, "unknown loss"),
        };
        return loss.MoveToOuterDisposeScope();
    }

    /// <summary>
    /// How strong the adversarial loss may be: so that it pulls at the last layer as hard as the reconstruction does (arXiv 2012.09841, equation 7).
    /// </summary>
    /// <param name="reconstruction">Weighted reconstruction and perceptual loss.</param>
    /// <param name="adversarial">Generator loss.</param>
    /// <param name="lastLayer">Weight of the decoder's last layer.</param>
    /// <returns>Scalar in [0, 10^4] without gradient.</returns>
    public static Tensor AdaptiveWeight(Tensor reconstruction, Tensor adversarial, Tensor lastLayer)
    {
        using var scope = NewDisposeScope();
        var ofReconstruction = autograd.grad([reconstruction], [lastLayer], retain_graph: true)[0];
        var ofAdversarial = autograd.grad([adversarial], [lastLayer], retain_graph: true)[0];
        return (ofReconstruction.norm() / (ofAdversarial.norm() + 1e-4)).clamp(0, 1e4).detach().MoveToOuterDisposeScope();
    }

    /// <summary>Mean of softplus(z) - z t.</summary>
    private static Tensor CrossEntropy(Tensor logits, Tensor target) => (functional.softplus(logits) - (logits * target)).mean();
}

/// <summary>How a discriminator is taught.</summary>
public enum DiscriminatorLoss
{
    /// <summary>Verdicts beyond 1 and -1 count no more (published default).</summary>
    Hinge,

    /// <summary>Softplus, as in StyleGAN.</summary>
    Vanilla,

    /// <summary>Binary cross-entropy.</summary>
    NonSaturating,

    /// <summary>
    /// What the published code computes under that name: cross-entropy with prediction and target exchanged, which teaches nothing about fakes.
    /// </summary>
    NonSaturatingPublished,
}

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
