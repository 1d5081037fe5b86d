using NextPatch.Core.Configuration;
using NextPatch.Torch.Adversarial;

namespace NextPatch.Training.Tokenizer;

/// <summary>How a VQGAN tokenizer is trained; the defaults are the published ones.</summary>
/// <remarks>Adam without weight decay: the published script takes a weight decay and ignores it.</remarks>
public sealed record VqganTrainingConfig
{
    public double LearningRate { get; init; } = 1e-4;

    public double Beta1 { get; init; } = 0.9;

    public double Beta2 { get; init; } = 0.95;

    /// <summary>Largest norm of the gradients of each network; 0 = no clipping.</summary>
    public double ClipNorm { get; init; } = 1;

    /// <summary>Decay of the weight average; 0 = none.</summary>
    public double EmaDecay { get; init; } = 0.9999;

    /// <summary>Absolute instead of squared differences of pixels.</summary>
    public bool IsAbsoluteReconstruction { get; init; }

    public double ReconstructionWeight { get; init; } = 1;

    /// <summary>Weight of LPIPS, where its weights are given.</summary>
    public double PerceptualWeight { get; init; } = 1;

    public double AdversarialWeight { get; init; } = 0.5;

    /// <summary>The step, counted from 1, from which on the adversarial losses count.</summary>
    public long DiscriminatorStart { get; init; } = 20_000;

    /// <summary>Scale the adversarial loss so that it pulls at the last layer as hard as the reconstruction.</summary>
    public bool IsAdaptive { get; init; }

    public DiscriminatorLoss DiscriminatorLoss { get; init; } = DiscriminatorLoss.Hinge;

    public GeneratorLoss GeneratorLoss { get; init; } = GeneratorLoss.Hinge;

    /// <summary>Weight of the adversarial losses at a step.</summary>
    /// <param name="step">Counted from 1.</param>
    public double AdversarialWeightAt(long step) => step < DiscriminatorStart ? 0 : AdversarialWeight;

    /// <summary>What the optimiser needs of this.</summary>
    internal TrainingConfig Optimizer(bool hasAverage) => new()
    {
        LearningRate = LearningRate, Beta1 = Beta1, Beta2 = Beta2, WeightDecay = 0, ClipNorm = ClipNorm, EmaDecay = hasAverage ? EmaDecay : 0, EmaWarmup = false,
    };
}
