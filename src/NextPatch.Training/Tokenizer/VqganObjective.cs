using NextPatch.Torch.Adversarial;
using NextPatch.Torch.Perception;
using static TorchSharp.torch;

namespace NextPatch.Training.Tokenizer;

// Shape letters used in this file: B batch, H and W rows and columns of pixels.

/// <summary>What tokenizer and discriminator are trained for (VQGAN, arXiv 2012.09841, section 3.1; VQLoss of the published code).</summary>
/// <remarks>The published weight of the quantisation losses (<c>codebook_weight</c>) is accepted there and never used, so it does not exist
/// here.</remarks>
internal sealed class VqganObjective
{
    private readonly VqganTrainingConfig _config;
    private readonly nn.Module<Tensor, Tensor>? _discriminator;
    private readonly IPerceptualLoss? _perception;
    private readonly ScalarType? _computeType;

    /// <param name="config">Weights and kinds of losses.</param>
    /// <param name="discriminator">Of any kind; verdicts large for real. Null: no adversarial losses.</param>
    /// <param name="perception">Null: the perceptual loss is left out.</param>
    /// <param name="computeType">Type that discriminator and perceptual network compute in; null = that of the images. The losses themselves keep
    /// theirs.</param>
    public VqganObjective(
        VqganTrainingConfig config, nn.Module<Tensor, Tensor>? discriminator, IPerceptualLoss? perception, ScalarType? computeType = null)
    {
        _config = config;
        _discriminator = discriminator;
        _perception = perception;
        _computeType = computeType;
    }

    /// <param name="images">float [B, 3, H, W] in [-1, 1].</param>
    /// <param name="reconstructions">float [B, 3, H, W], with gradient.</param>
    /// <param name="quantizationLoss">Scalar: codebook, commitment and entropy losses, weighted.</param>
    /// <param name="lastLayer">Weight of the last layer that made the reconstructions.</param>
    /// <param name="step">Counted from 1.</param>
    public GeneratorTerms Generator(Tensor images, Tensor reconstructions, Tensor quantizationLoss, Tensor lastLayer, long step)
    {
        using var scope = NewDisposeScope();
        var difference = reconstructions - images;
        var squaredError = difference.square().mean();
        var reconstruction = _config.Reconstruction switch
        {
            ReconstructionLoss.Squared => squaredError,
            ReconstructionLoss.Absolute => difference.abs().mean(),
            _ => difference.abs().mean() + squaredError,
        };
        var perceptual = _perception?.Distance(images, reconstructions, _computeType).mean();
        var likeness = _config.ReconstructionWeight * reconstruction;
        if (perceptual is not null)
        {
            likeness = likeness + (_config.PerceptualWeight * perceptual);
        }

        var total = likeness + quantizationLoss;
        Tensor? adversarial = null;
        Tensor? adaptive = null;
        if (_discriminator is not null && _config.RunsDiscriminatorAt(step))
        {
            adversarial = AdversarialLosses.Generator(Verdicts(_discriminator, reconstructions), _config.GeneratorLoss);
            adaptive = _config.IsAdaptive ? AdversarialLosses.AdaptiveWeight(likeness, adversarial, lastLayer) : ones(1).squeeze();
            total = likeness + (adaptive * _config.AdversarialWeightAt(step) * adversarial) + quantizationLoss;
        }

        return new GeneratorTerms(
            total.MoveToOuterDisposeScope(), squaredError.detach().MoveToOuterDisposeScope(), reconstruction.MoveToOuterDisposeScope(),
            perceptual?.MoveToOuterDisposeScope(),
            adversarial?.MoveToOuterDisposeScope(), adaptive?.MoveToOuterDisposeScope());
    }

    /// <param name="images">float [B, 3, H, W] in [-1, 1].</param>
    /// <param name="reconstructions">float [B, 3, H, W]; their gradient is cut here.</param>
    /// <param name="step">Counted from 1.</param>
    /// <returns>Scalar in the caller's dispose scope; null where the discriminator takes no part.</returns>
    public Tensor? Discriminator(Tensor images, Tensor reconstructions, long step)
    {
        if (_discriminator is null || !_config.RunsDiscriminatorAt(step))
        {
            return null;
        }

        using var scope = NewDisposeScope();
        var real = Verdicts(_discriminator, images.detach());
        var fake = Verdicts(_discriminator, reconstructions.detach());
        return (_config.AdversarialWeightAt(step) * AdversarialLosses.Discriminator(real, fake, _config.DiscriminatorLoss)).MoveToOuterDisposeScope();
    }

    private Tensor Verdicts(nn.Module<Tensor, Tensor> discriminator, Tensor images)
        => discriminator.forward(images.to(_computeType ?? images.dtype)).to(images.dtype);
}

/// <summary>The parts of the generator's loss; scalars in the caller's dispose scope.</summary>
/// <param name="Total">What is minimised.</param>
/// <param name="SquaredError">Mean squared difference of pixels, without gradient; images span 2.</param>
/// <param name="Reconstruction">Mean difference of pixels as it is weighted.</param>
/// <param name="Perceptual">Mean perceptual distance, not weighted; null without its weights.</param>
/// <param name="Adversarial">Generator loss, not weighted; null where the discriminator takes no part.</param>
/// <param name="AdaptiveWeight">1 where it is off; null where the discriminator takes no part.</param>
internal readonly record struct GeneratorTerms(
    Tensor Total, Tensor SquaredError, Tensor Reconstruction, Tensor? Perceptual, Tensor? Adversarial, Tensor? AdaptiveWeight);
