using NextPatch.Core.Configuration;
using NextPatch.Torch.Adversarial;

namespace NextPatch.Training.Tokenizer;

/// <summary>How a VQGAN tokenizer is trained; the defaults are the published ones.</summary>
/// <remarks>Adam without weight decay: the published script takes a weight decay and ignores it.</remarks>
public sealed record VqganTrainingConfig
{
    /// <summary>The learning rate of both Adams.</summary>
    public double LearningRate { get; init; } = 1e-4;

    /// <summary>Adam's decay of the first moment.</summary>
    public double Beta1 { get; init; } = 0.9;

    /// <summary>Adam's decay of the second moment.</summary>
    public double Beta2 { get; init; } = 0.95;

    /// <summary>Largest norm of the gradients of each network; 0 = no clipping.</summary>
    public double ClipNorm { get; init; } = 1;

    /// <summary>Decay of the EMA of the weights; 0 = none.</summary>
    public double EmaDecay { get; init; } = 0.9999;

    /// <summary>Let the decay of the EMA grow with the steps, so that the EMA of a short run is not its start.</summary>
    public bool EmaWarmup { get; init; }

    /// <summary>How pixels are compared.</summary>
    public ReconstructionLoss Reconstruction { get; init; }

    /// <summary>The weight of the pixels' loss.</summary>
    public double ReconstructionWeight { get; init; } = 1;

    /// <summary>Weight of LPIPS, where its weights are given.</summary>
    public double PerceptualWeight { get; init; } = 1;

    /// <summary>The weight of the adversarial loss.</summary>
    public double AdversarialWeight { get; init; } = 0.5;

    /// <summary>The step, counted from 1, from which on the adversarial losses count.</summary>
    public long DiscriminatorStart { get; init; } = 20_000;

    /// <summary>Scale the adversarial loss so that it pulls at the last layer as hard as the reconstruction.</summary>
    public bool IsAdaptive { get; init; }

    /// <summary>
    /// Run the discriminator before its start too, with weight 0, as published: its batch statistics and Adam's count of steps learn from that, at
    /// the price of its passes.
    /// </summary>
    public bool WarmsDiscriminator { get; init; } = true;

    /// <summary>The discriminator's loss.</summary>
    public DiscriminatorLoss DiscriminatorLoss { get; init; } = DiscriminatorLoss.Hinge;

    /// <summary>The generator's adversarial loss.</summary>
    public GeneratorLoss GeneratorLoss { get; init; } = GeneratorLoss.Hinge;

    /// <summary>Weight of the adversarial losses at a step.</summary>
    /// <param name="step">Counted from 1.</param>
    public double AdversarialWeightAt(long step) => step < DiscriminatorStart ? 0 : AdversarialWeight;

    /// <summary>Whether the discriminator takes part in a step.</summary>
    /// <param name="step">Counted from 1.</param>
    internal bool RunsDiscriminatorAt(long step) => WarmsDiscriminator || AdversarialWeightAt(step) > 0;

    /// <summary>What the optimiser needs of this.</summary>
    internal TrainingConfig Optimizer(bool hasAverage) => new()
    {
        LearningRate = LearningRate, Beta1 = Beta1, Beta2 = Beta2, WeightDecay = 0, ClipNorm = ClipNorm, EmaDecay = hasAverage
            ? EmaDecay
            : 0, EmaWarmup = EmaWarmup,
    };
}

/// <summary>How pixels are compared; means over all elements of images in [-1, 1].</summary>
public enum ReconstructionLoss
{
    /// <summary>Squared differences (l2, published default).</summary>
    Squared,

    /// <summary>Absolute differences (l1).</summary>
    Absolute,

    /// <summary>The sum of both.</summary>
    Both,
}
