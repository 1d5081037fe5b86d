using NextPatch.Core.Patches;

namespace NextPatch.Training.Gpt;

/// <summary>One line of a run's metrics.</summary>
/// <param name="Step">Optimiser steps done.</param>
/// <param name="TotalSteps">Steps of the run.</param>
/// <param name="Stage">Stage of the step.</param>
/// <param name="Loss">Mean patch loss of the step, in nats.</param>
/// <param name="LearningRate">Rate of the step.</param>
/// <param name="GradientNorm">Before clipping.</param>
/// <param name="Images">Images seen.</param>
/// <param name="ImagesPerSecond">Since the line before.</param>
/// <param name="TokensPerSecond">Tokens of the transformer since the line before.</param>
/// <param name="SecondsLeft">Estimate from the planned cost of what is left and the speed so far.</param>
/// <param name="ValidationLoss">Loss of held-out images at p = 1, where it was measured at this step.</param>
public sealed record TrainingProgress(
    long Step, long TotalSteps, PatchStage Stage, double Loss, double LearningRate, double GradientNorm, long Images,
    double ImagesPerSecond, double TokensPerSecond, double SecondsLeft, double? ValidationLoss)
{
    /// <summary>Steps so far that were not taken, because their loss or gradient was not finite.</summary>
    public long SkippedSteps { get; init; }

    /// <summary>Share of the time since the line before in which training waited for data.</summary>
    public double DataWaitShare { get; init; }

    /// <summary>Seconds in training steps so far, over all sessions of the run.</summary>
    public double Seconds { get; init; }

    /// <summary>FLOPs of the training steps so far, as counted by <c>TrainingCost</c>.</summary>
    internal double Flops { get; init; }
}
