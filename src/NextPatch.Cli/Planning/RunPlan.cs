using NextPatch.Core.Configuration;

namespace NextPatch.Cli.Planning;

/// <summary>What a run will cost.</summary>
internal sealed record RunPlan
{
    public required string Preset { get; init; }

    public required string Recipe { get; init; }

    public required long ParameterCount { get; init; }

    public required int BatchSize { get; init; }

    /// <summary>Images of the training set; null where the length is given in steps and it does not matter.</summary>
    public required long? DatasetImages { get; init; }

    public required long TotalSteps { get; init; }

    public required IReadOnlyList<StagePlan> Stages { get; init; }

    /// <summary>FLOPs of the run.</summary>
    public required double TotalFlops { get; init; }

    /// <summary>FLOPs of next-token training on as many images.</summary>
    public required double PlainFlops { get; init; }

    /// <summary>Relative cost as the paper counts it: sum of (share of steps) / p^2.</summary>
    public required double RelativeCost { get; init; }

    /// <summary>Relative cost in FLOPs, attention included.</summary>
    public required double RelativeFlops { get; init; }

    /// <summary>FLOPs per second that the estimate of time assumes; null where there is none.</summary>
    public required double? FlopsPerSecond { get; init; }

    /// <summary>Where <see cref="FlopsPerSecond"/> comes from.</summary>
    public required string? FlopsPerSecondSource { get; init; }

    /// <summary>Estimated duration of training, without validation, checkpoints and data loading.</summary>
    public double? Seconds => TotalFlops / FlopsPerSecond;

    /// <summary>Duration of next-token training on as many images.</summary>
    public double? PlainSeconds => PlainFlops / FlopsPerSecond;

    /// <summary>Peak memory in bytes.</summary>
    public required MemoryEstimate Memory { get; init; }

    /// <summary>What of a device's memory it fills; null for the processor's.</summary>
    public DevicePlan? OnDevice { get; init; }

    /// <summary>The same on several ranks; null where it was not asked for.</summary>
    public RankPlan? OnRanks { get; init; }

    public static RunPlan Create(
        string preset, string recipe, GptConfig model, TrainingConfig training, long? images, double? flopsPerSecond, string? source)
    {
        var schedule = training.CreateSchedule(images ?? 0);
        var cost = new TrainingCost(model, schedule, training);
        return new RunPlan
        {
            Preset = preset,
            Recipe = recipe,
            ParameterCount = model.ParameterCount,
            BatchSize = training.BatchSize,
            DatasetImages = images,
            TotalSteps = schedule.TotalSteps,
            Stages = [.. cost.Stages.Select(stage => new StagePlan(
                stage.Stage.PatchSide, stage.TokensPerImage, stage.Stage.Start, stage.Stage.StepCount, (double)stage.Images / images, stage.Images,
                stage.FlopsPerImage, stage.RelativeFlopsPerImage, stage.RelativeShare, training.MicroBatchFor(stage.Stage.PatchSide),
                stage.FlopsPerImage * stage.Images / flopsPerSecond))],
            TotalFlops = cost.TotalFlops,
            PlainFlops = cost.PlainFlops,
            RelativeCost = cost.RelativeCost,
            RelativeFlops = cost.RelativeFlops,
            FlopsPerSecond = flopsPerSecond,
            FlopsPerSecondSource = source,
            Memory = MemoryEstimate.Create(model, training),
        };
    }
}

/// <summary>What one stage of a run will cost.</summary>
/// <param name="PatchSide">Side p of a patch, in codes.</param>
/// <param name="TokensPerImage">Length of the training sequence.</param>
/// <param name="FirstStep">Optimiser step at which the stage begins.</param>
/// <param name="Steps">Optimiser steps.</param>
/// <param name="Epochs">Passes over the images; null where their number is unknown.</param>
/// <param name="Images">Images seen.</param>
/// <param name="FlopsPerImage">Forward and backward.</param>
/// <param name="RelativeFlopsPerImage">Against patch side 1.</param>
/// <param name="RelativeShare">Part of the published relative cost, (share of steps) / p^2.</param>
/// <param name="MicroBatch">Images per forward pass.</param>
/// <param name="Seconds">Estimated duration; null where no speed is known.</param>
internal sealed record StagePlan(
    int PatchSide, int TokensPerImage, long FirstStep, long Steps, double? Epochs, long Images, double FlopsPerImage, double RelativeFlopsPerImage,
    double RelativeShare, int MicroBatch, double? Seconds);

/// <summary>A run on a device, with the reference step.</summary>
/// <param name="Name">What the device is called; null where only its memory was given.</param>
/// <param name="MemoryBytes">Its memory.</param>
/// <param name="MicroBatch">Largest micro-batch of patch side 1 that fits; 0: none.</param>
/// <param name="MicroBatchRecomputed">The same with <c>--recompute</c>.</param>
internal sealed record DevicePlan(string? Name, long MemoryBytes, int MicroBatch, int MicroBatchRecomputed);
