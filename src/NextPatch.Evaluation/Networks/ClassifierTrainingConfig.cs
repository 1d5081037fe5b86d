using NextPatch.Core;

namespace NextPatch.Evaluation.Networks;

/// <summary>
/// How the classifier is trained: AdamW in rounds, each with the rate falling linearly to zero, until the target or the last round.
/// </summary>
internal sealed record ClassifierTrainingConfig
{
    /// <summary>Optimiser steps of the first round; each later round is twice as long as the one before.</summary>
    public int RoundSteps { get; init; } = 200;

    /// <summary>Rounds at most.</summary>
    public int MaximumRounds { get; init; } = 3;

    /// <summary>Held-out accuracy at which training ends.</summary>
    public double TargetAccuracy { get; init; } = 0.995;

    /// <summary>Images per step.</summary>
    public int BatchSize { get; init; } = 64;

    /// <summary>AdamW's learning rate at the start of the first round; each later round starts at half of it.</summary>
    public double LearningRate { get; init; } = 3e-3;

    /// <summary>Seed of the initial weights and the batches.</summary>
    public ulong Seed { get; init; }

    /// <summary>Steps if every round runs.</summary>
    public int MaximumSteps => RoundSteps * ((1 << MaximumRounds) - 1);

    /// <exception cref="ConfigException">Names every value that cannot work.</exception>
    public void Validate()
    {
        var problems = new List<string>();
        foreach (var (name, value) in new[] { (nameof(RoundSteps), RoundSteps), (nameof(MaximumRounds), MaximumRounds),
            (nameof(BatchSize), BatchSize) })
        {
            if (value < 1)
            {
                problems.Add($"Classifier training {name} is {value} but must be at least 1.");
            }
        }

        if (!(LearningRate > 0 && double.IsFinite(LearningRate)))
        {
            problems.Add($"Classifier training LearningRate is {LearningRate} but must be a positive finite number.");
        }

        if (problems.Count > 0)
        {
            throw new ConfigException(problems);
        }
    }
}
