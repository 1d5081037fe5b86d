using NextPatch.Core.Configuration;

namespace NextPatch.Training.Gpt;

/// <summary>How a run ended.</summary>
/// <param name="Step">Optimiser steps done.</param>
/// <param name="IsComplete">False when it was cancelled.</param>
/// <param name="Checkpoint">The newest checkpoint's folder.</param>
/// <param name="StageSeconds">Seconds in training steps by stage (validation, samples and checkpoints excluded).</param>
/// <param name="StageImages">Images seen by stage.</param>
/// <param name="ValidationLoss">Loss of the held-out images at p = 1 with the trained weights, in nats; null without held-out images or when
/// cancelled.</param>
/// <param name="AverageValidationLoss">The same with the EMA weights.</param>
public sealed record TrainingResult(
    long Step, bool IsComplete, string? Checkpoint, IReadOnlyList<double> StageSeconds, IReadOnlyList<long> StageImages,
    double? ValidationLoss, double? AverageValidationLoss)
{
    /// <summary>Steps that were not taken, because their loss or gradient was not finite.</summary>
    public long SkippedSteps { get; init; }

    /// <summary>All of it in one record, as the run's files hold it.</summary>
    public RunResult? Outcome { get; init; }

    /// <summary>
    /// Seconds per image of each stage, weighed by its images, against the seconds per image of the last stage (p = 1): the measured counterpart of
    /// the planned relative cost.
    /// </summary>
    public double MeasuredRelativeCost
    {
        get
        {
            var perImage = StageSeconds[^1] / StageImages[^1];
            return StageSeconds.Sum() / (StageImages.Sum() * perImage);
        }
    }
}
