using NextPatch.Core.Configuration;

namespace NextPatch.Training.Tokenizer;

/// <summary>How the small tokenizer is trained: L1 + squared error + quantisation loss, Adam, constant rate with a linear decay at the end.</summary>
public sealed record TokenizerTrainingConfig
{
    /// <summary>Optimiser steps.</summary>
    public int Steps { get; init; } = 600;

    /// <summary>Images per step.</summary>
    public int BatchSize { get; init; } = 16;

    /// <summary>Adam's learning rate before the decay.</summary>
    public double LearningRate { get; init; } = 2e-3;

    /// <summary>Share of the steps, at the end, over which the rate falls linearly to zero; codes are revived only before.</summary>
    public double DecayShare { get; init; } = 0.3;

    /// <summary>First steps without quantisation; the codebook then starts at the k-means centres of the latents.</summary>
    public int ContinuousSteps { get; init; } = 60;

    /// <summary>Steps between two looks for codes that no latent chose.</summary>
    public int RevivalInterval { get; init; } = 20;

    /// <summary>Steps between two progress reports.</summary>
    public int ReportInterval { get; init; } = 20;

    /// <summary>Seed of the batches, the k-means start and the revivals. Initial weights have their own.</summary>
    public ulong Seed { get; init; }

    /// <exception cref="ConfigException">Names every value that cannot work.</exception>
    public void Validate()
    {
        var problems = new List<string>();
        foreach (var (name, value, smallest) in new[]
        {
            (nameof(Steps), Steps, 1), (nameof(BatchSize), BatchSize, 1), (nameof(ContinuousSteps), ContinuousSteps, 0),
            (nameof(RevivalInterval), RevivalInterval, 1), (nameof(ReportInterval), ReportInterval, 1),
        })
        {
            if (value < smallest)
            {
                problems.Add($"Tokenizer training {name} is {value} but must be at least {smallest}.");
            }
        }

        if (!(LearningRate > 0 && double.IsFinite(LearningRate)))
        {
            problems.Add($"Tokenizer training LearningRate is {LearningRate} but must be a positive finite number.");
        }

        if (!(DecayShare is >= 0 and <= 1))
        {
            problems.Add($"Tokenizer training DecayShare is {DecayShare} but must lie in [0, 1].");
        }

        if (ContinuousSteps >= Steps)
        {
            problems.Add($"Tokenizer training has {ContinuousSteps} continuous steps of {Steps}; none is left to learn the codebook.");
        }

        if (problems.Count > 0)
        {
            throw new ConfigException(problems);
        }
    }

    /// <summary>Learning rate of a step, counted from 0.</summary>
    public double LearningRateAt(int step)
    {
        var start = DecayStart;
        return step < start ? LearningRate : LearningRate * (Steps - step) / (Steps - start + 1);
    }

    /// <summary>First step of the decay.</summary>
    internal int DecayStart => Steps - (int)Math.Round(Steps * DecayShare);
}
