using NextPatch.Core;
using NextPatch.Core.Configuration;
using NextPatch.Torch.Adversarial;
using NextPatch.Torch.Tokenizer;

namespace NextPatch.Training.Tokenizer;

/// <summary>Everything that decides what a tokenizer's run computes; a run is resumed with equal settings only.</summary>
public sealed record TokenizerRunConfig
{
    /// <summary>The version of this file's layout.</summary>
    public int FormatVersion { get; init; } = 1;

    /// <summary>The tokenizer's shape.</summary>
    public required TokenizerConfig Tokenizer { get; init; }

    /// <summary>Losses and optimiser.</summary>
    public VqganTrainingConfig Objective { get; init; } = new();

    /// <summary>The kind of discriminator.</summary>
    public DiscriminatorKind Discriminator { get; init; }

    /// <summary>Null: the decoder sees the codes as they are.</summary>
    public LatentPerturbationConfig? Perturbation { get; init; }

    /// <summary>Optimiser steps.</summary>
    public required int Steps { get; init; }

    /// <summary>Images per step.</summary>
    public required int BatchSize { get; init; }

    /// <summary>First steps, over which the learning rate rises in a line.</summary>
    public int WarmupSteps { get; init; }

    /// <summary>Share of the steps, at the end, over which the rate falls in a line to zero; codes are revived only before.</summary>
    public double DecayShare { get; init; }

    /// <summary>First steps without quantisation; the codebook then starts at the k-means centres of the latents.</summary>
    public int ContinuousSteps { get; init; }

    /// <summary>Steps between two looks for codes that no latent chose since the last; 0 = codes are left to die.</summary>
    public int RevivalInterval { get; init; }

    /// <summary>Images are cut at random, as published, where they are large enough; else the centre is taken.</summary>
    public bool HasRandomCrops { get; init; } = true;

    /// <summary>Every other image is mirrored.</summary>
    public bool HasFlips { get; init; } = true;

    /// <summary>Seed of weights, data order, crops, codebook start, revivals and perturbation.</summary>
    public ulong Seed { get; init; }

    /// <summary>
    /// Arithmetic of encoder, decoder, discriminator and LPIPS; <see cref="ComputePrecision.Fp32"/> or <see cref="ComputePrecision.Bf16"/>.
    /// </summary>
    public ComputePrecision Precision { get; init; }

    /// <summary>What the images are called, how many are trained on and how many are judged: another number is another run.</summary>
    public required TokenizerRunData Data { get; init; }

    /// <summary>Where the weights come from that the run starts with; null = drawn from the seed.</summary>
    public string? InitialWeights { get; init; }

    /// <summary>Parts that stay as the initial weights have them; null = all are trained.</summary>
    public IReadOnlyList<TokenizerPart>? Frozen { get; init; }

    /// <summary>File of the perceptual loss; null = none.</summary>
    public string? Perception { get; init; }

    private IEnumerable<string> FrozenProblems()
    {
        if (Frozen is not { } frozen)
        {
            yield break;
        }

        if (frozen.Distinct().Count() == Enum.GetValues<TokenizerPart>().Length)
        {
            yield return "Freeze names encoder, codebook and decoder: nothing is left to train.";
        }

        if (InitialWeights is null)
        {
            yield return "Freeze keeps weights as they are, and without InitialWeights they are random; name the tokenizer that they are of.";
        }

        if (frozen.Contains(TokenizerPart.Codebook) && (ContinuousSteps > 0 || RevivalInterval > 0))
        {
            yield return "Freeze keeps the codebook, so ContinuousSteps and RevivalInterval, which replace codes, must be 0.";
        }

        if (frozen.Contains(TokenizerPart.Decoder) && Objective.IsAdaptive)
        {
            yield return "The adaptive weight is measured at the decoder's last layer, which Freeze keeps; leave one of the two out.";
        }
    }

    /// <exception cref="ConfigException">Names every value that cannot work.</exception>
    public TokenizerRunConfig Validated()
    {
        Tokenizer.Validate();
        Perturbation?.Validate(Tokenizer.CodebookSize);
        var problems = new List<string>();
        foreach (var (name, value, least) in new[]
        {
            (nameof(Steps), Steps, 1), (nameof(BatchSize), BatchSize, 1), (nameof(WarmupSteps), WarmupSteps, 0),
            (nameof(ContinuousSteps), ContinuousSteps, 0), (nameof(RevivalInterval), RevivalInterval, 0),
        })
        {
            if (value < least)
            {
                problems.Add($"Tokenizer training {name} is {value} but must be at least {least}.");
            }
        }

        foreach (var (name, value) in new[]
        {
            (nameof(Objective.ReconstructionWeight), Objective.ReconstructionWeight),
            (nameof(Objective.PerceptualWeight), Objective.PerceptualWeight),
            (nameof(Objective.AdversarialWeight), Objective.AdversarialWeight), (nameof(Objective.ClipNorm), Objective.ClipNorm),
        })
        {
            if (!(value >= 0 && double.IsFinite(value)))
            {
                problems.Add($"Tokenizer training {name} is {value} but must be a finite number, at least 0.");
            }
        }

        if (!(Objective.LearningRate > 0 && double.IsFinite(Objective.LearningRate)))
        {
            problems.Add($"Tokenizer training LearningRate is {Objective.LearningRate} but must be a positive finite number.");
        }

        problems.AddRange(FrozenProblems());
        if (!(Objective.EmaDecay is >= 0 and < 1))
        {
            problems.Add($"Tokenizer training EmaDecay is {Objective.EmaDecay} but must lie in [0, 1).");
        }

        if (!(DecayShare is >= 0 and <= 1))
        {
            problems.Add($"Tokenizer training DecayShare is {DecayShare} but must lie in [0, 1].");
        }

        if (ContinuousSteps >= Steps && Steps >= 1)
        {
            problems.Add($"Tokenizer training has {ContinuousSteps} continuous steps of {Steps}; none is left to learn the codebook.");
        }

        if (DiscriminatorProblem() is { } problem)
        {
            problems.Add(problem);
        }

        return problems.Count > 0 ? throw new ConfigException(problems) { Settings = ["Discriminator", "ImageSide"] } : this;
    }

    /// <summary>Learning rate of a step, counted from 0.</summary>
    public double LearningRateAt(long step)
    {
        var warmup = step < WarmupSteps ? (step + 1.0) / WarmupSteps : 1;
        var decay = step < DecayStart ? 1 : (double)(Steps - step) / (Steps - DecayStart + 1);
        return Objective.LearningRate * Math.Min(warmup, decay);
    }

    /// <summary>First step of the decay.</summary>
    internal int DecayStart => Steps - (int)Math.Round(Steps * DecayShare);

    private string? DiscriminatorProblem() => (Discriminator, Tokenizer.ImageSide) switch
    {
        (DiscriminatorKind.PatchGan, < PatchDiscriminator.SmallestSide and var side) =>
            $"Discriminator patchgan is given images of {side}x{side} pixels, but they must be at least "
                + $"{PatchDiscriminator.SmallestSide}x{PatchDiscriminator.SmallestSide}. Use Discriminator stylegan, or larger images (ImageSide).",
        (DiscriminatorKind.StyleGan, var side) when !StyleGanDiscriminator.Fits(side) =>
            $"Discriminator stylegan is given images of {side}x{side} pixels, but their side must be a power of two from "
                + $"{StyleGanDiscriminator.SmallestSide} to {StyleGanDiscriminator.LargestSide}. Use Discriminator patchgan (from "
                + $"{PatchDiscriminator.SmallestSide} pixels on), or another ImageSide.",
        _ => null,
    };
}

/// <summary>What a run was trained on, as far as it can be told without reading all of it.</summary>
/// <param name="Name">Of the folder or file.</param>
/// <param name="TrainingCount">Images that are trained on.</param>
/// <param name="HeldOutCount">Images that are kept apart.</param>
/// <param name="JudgedCount">Of these, images that the run is judged by.</param>
public sealed record TokenizerRunData(string Name, int TrainingCount, int HeldOutCount, int JudgedCount);

/// <summary>Which discriminator stands beside the losses: a network that learns to tell reconstructions from images.</summary>
public enum DiscriminatorKind
{
    /// <summary>No discriminator: the losses alone.</summary>
    None,

    /// <summary>One verdict per patch.</summary>
    PatchGan,

    /// <summary>One verdict per image.</summary>
    StyleGan,
}
