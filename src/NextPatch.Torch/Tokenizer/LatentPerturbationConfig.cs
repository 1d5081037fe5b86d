using NextPatch.Core;

namespace NextPatch.Torch.Tokenizer;

/// <summary>How often and how far codes are moved to neighbours while a tokenizer learns; the defaults are the published ones.</summary>
/// <remarks>Source: "Robust Latent Matters", arXiv 2503.08354, section 4. Annealing is given in steps, published in epochs (40 to 120 of
/// 200).</remarks>
public sealed record LatentPerturbationConfig
{
    /// <summary>Probability that an image is perturbed at all (beta).</summary>
    public double ImageShare { get; init; } = 0.1;

    /// <summary>Probability that a code of a perturbed image is drawn anew (alpha), before annealing.</summary>
    public double CodeShare { get; init; } = 1;

    /// <summary>How many codes nearest to the latent it is drawn from, the nearest included (delta), before annealing.</summary>
    public int Neighbours { get; init; } = 100;

    /// <summary>Step from which on <see cref="CodeShare"/> and <see cref="Neighbours"/> shrink.</summary>
    public long AnnealStart { get; init; }

    /// <summary>Step from which on they stay at <see cref="EndRatio"/>; equal to <see cref="AnnealStart"/>: they jump there.</summary>
    public long AnnealEnd { get; init; }

    /// <summary>What is left of both after annealing; 1 = no annealing.</summary>
    public double EndRatio { get; init; } = 0.5;

    /// <summary>Factor of <see cref="CodeShare"/> and <see cref="Neighbours"/>: 1, then linear to <see cref="EndRatio"/>.</summary>
    /// <param name="step">Counted from 0.</param>
    /// <remarks>The published line ends at 1 - EndRatio, which is EndRatio for the published 0.5 only.</remarks>
    public double RatioAt(long step) => step < AnnealStart ? 1
        : step >= AnnealEnd ? EndRatio
        : 1 - ((1 - EndRatio) * (step - AnnealStart) / (AnnealEnd - AnnealStart));

    /// <summary>Neighbours at a step: rounded down as published, but at least one.</summary>
    /// <param name="step">Counted from 0.</param>
    public int NeighboursAt(long step) => Math.Max(1, (int)(RatioAt(step) * Neighbours));

    /// <param name="codebookSize">K.</param>
    /// <exception cref="ConfigException">Names every value that cannot work.</exception>
    public void Validate(int codebookSize)
    {
        var problems = new List<string>();
        foreach (var (name, value) in new[] { (nameof(ImageShare), ImageShare), (nameof(CodeShare), CodeShare), (nameof(EndRatio), EndRatio) })
        {
            if (!(value is >= 0 and <= 1))
            {
                problems.Add($"Latent perturbation {name} is {value} but must lie in [0, 1].");
            }
        }

        if (Neighbours < 1 || Neighbours > codebookSize)
        {
            problems.Add($"Latent perturbation Neighbours is {Neighbours} but must be 1 to {codebookSize}, the size of the codebook.");
        }

        if (AnnealStart < 0 || AnnealEnd < AnnealStart)
        {
            problems.Add($"Latent perturbation anneals from step {AnnealStart} to {AnnealEnd}; expected 0 <= AnnealStart <= AnnealEnd.");
        }

        if (problems.Count > 0)
        {
            throw new ConfigException(problems);
        }
    }
}
