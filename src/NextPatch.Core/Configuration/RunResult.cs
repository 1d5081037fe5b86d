namespace NextPatch.Core.Configuration;

/// <summary>What a training run gave: in <c>state.json</c> of its last checkpoint, in the last line of <c>metrics.jsonl</c>, in its report.</summary>
public sealed record RunResult
{
    /// <summary>Optimiser steps done, skipped ones included.</summary>
    public required long Step { get; init; }

    /// <summary>Images seen.</summary>
    public required long Images { get; init; }

    /// <summary>False when it was stopped before its last step.</summary>
    public required bool IsComplete { get; init; }

    /// <summary>Loss of held-out images at p = 1 with the trained weights, in nats per code; null without such images or when stopped.</summary>
    public double? HeldOutLoss { get; init; }

    /// <summary>The same with the EMA weights.</summary>
    public double? EmaHeldOutLoss { get; init; }

    /// <summary>What guessing costs: ln V, in nats per code.</summary>
    public required double UniformLoss { get; init; }

    /// <summary>FLOPs of the whole run as planned.</summary>
    public required double PlannedFlops { get; init; }

    /// <summary>Relative cost as the paper counts it: sum of (share of steps) / p^2.</summary>
    public required double PlannedRelativeCost { get; init; }

    /// <summary>Seconds in training steps over all sessions: validation, samples and checkpoints excluded.</summary>
    public required double Seconds { get; init; }

    /// <summary>
    /// Seconds against those of next-token training on as many images at the measured speed of the last stage; null before the last stage.
    /// </summary>
    public double? MeasuredRelativeCost { get; init; }

    /// <summary>Steps that were not taken, because their loss or gradient was not finite.</summary>
    public long SkippedSteps { get; init; }

    /// <summary>Newest figures of images that the run drew (fid, fd-resnet20); null where none were measured.</summary>
    public IReadOnlyDictionary<string, double>? Figures { get; init; }

    /// <summary>The step at which they were measured.</summary>
    public long? FiguresStep { get; init; }

    /// <summary>By stage, coarsest first.</summary>
    public required IReadOnlyList<RunStageResult> Stages { get; init; }
}

/// <summary>What one stage of a run took.</summary>
/// <param name="PatchSide">Side p of a patch, in codes.</param>
/// <param name="Images">Images seen in it.</param>
/// <param name="Seconds">Seconds in its training steps.</param>
/// <param name="FlopsPerImage">Forward and backward, as planned.</param>
public sealed record RunStageResult(int PatchSide, long Images, double Seconds, double FlopsPerImage);
