using NextPatch.Core.Patches;

namespace NextPatch.Core.Configuration;

/// <summary>
/// What a coarse-to-fine run costs before it starts, against plain next-token training on as many images.
/// </summary>
/// <remarks>
/// Published count: relative cost = sum over stages of (share of steps) / p^2, which ignores attention. The FLOPs here count
/// 2 per weight and token for every matrix product, 4 T C per token for attention (scores and mix, unmasked), and three times
/// the forward pass for a training step (backward = two forward passes).
/// </remarks>
public sealed class TrainingCost
{
    /// <param name="config">The model.</param>
    /// <param name="schedule">The stages.</param>
    /// <param name="batchSize">Images per optimiser step.</param>
    /// <exception cref="ConfigException">A patch side does not divide the grid.</exception>
    public TrainingCost(GptConfig config, PatchSchedule schedule, int batchSize)
        : this(config, schedule, new TrainingConfig { BatchSize = batchSize })
    {
    }

    /// <param name="config">The model.</param>
    /// <param name="schedule">The stages.</param>
    /// <param name="training">Images per step of each stage, and how many of them are trained with the patches of the stage before.</param>
    /// <param name="captionTokens">Tokens of a caption on average, of a text model; null: as many as it takes at most.</param>
    /// <exception cref="ConfigException">A patch side does not divide the grid.</exception>
    public TrainingCost(GptConfig config, PatchSchedule schedule, TrainingConfig training, double? captionTokens = null)
    {
        var plain = TrainingFlopsPerImage(config, 1, captionTokens);
        var total = training.ImagesBefore(schedule, schedule.TotalSteps);
        Stages = [.. schedule.Stages.Select(stage =>
        {
            var side = stage.PatchSide;
            var coarser = stage.Index == 0 ? side : schedule.Stages[stage.Index - 1].PatchSide;
            var mixed = stage.Index == 0 ? 0 : (double)training.CoarseImages(side) / training.ImagesPerStep(side);
            var flops = TrainingFlopsPerImage(config, side, captionTokens);
            flops += mixed == 0 ? 0 : mixed * (TrainingFlopsPerImage(config, coarser, captionTokens) - flops);
            var images = stage.StepCount * training.ImagesPerStep(side);
            var share = (double)images / total;
            return new StageCost(stage, new PatchGeometry(config.GridSide, side).PatchCount, images, flops, flops / plain,
                mixed == 0 ? share / (side * side) : share * (((1 - mixed) / (side * side)) + (mixed / (coarser * coarser))));
        })];
        TotalFlops = Stages.Sum(s => s.FlopsPerImage * s.Images);
        PlainFlops = plain * total;
    }

    /// <summary>The cost of each stage, in order.</summary>
    public IReadOnlyList<StageCost> Stages { get; }

    /// <summary>FLOPs of the whole run.</summary>
    public double TotalFlops { get; }

    /// <summary>FLOPs of next-token training on as many images.</summary>
    public double PlainFlops { get; }

    /// <summary>Relative cost as the paper counts it: sum of (share of steps) / p^2.</summary>
    public double RelativeCost => Stages.Sum(s => s.RelativeShare);

    /// <summary>Relative cost in FLOPs, attention included.</summary>
    public double RelativeFlops => TotalFlops / PlainFlops;

    /// <summary>FLOPs of the forward pass of one image at patch side <paramref name="patchSide"/>.</summary>
    /// <param name="config">The model.</param>
    /// <param name="patchSide">p.</param>
    /// <param name="captionTokens">Tokens of a caption, of a text model; null: as many as it takes at most. They are rows at every side.</param>
    public static double ForwardFlopsPerImage(GptConfig config, int patchSide, double? captionTokens = null)
    {
        double patches = new PatchGeometry(config.GridSide, patchSide).PatchCount;
        var caption = config.Text is null ? 1 : Math.Max(1, captionTokens ?? config.ConditionTokens);
        var rows = caption + patches - 1;
        var embedding = config.Text is { } text ? 2.0 * caption * config.Width * (text.FeatureWidth + config.Width) : 0;
        var attention = 4.0 * rows * config.HeadCount * config.HeadWidth * config.LayerCount;
        return (rows * ((2.0 * config.LayerCount * config.BlockMatrixWeights) + attention)) + (patches * 2.0 * config.Width * config.VocabularySize)
            + embedding;
    }

    /// <summary>FLOPs of forward and backward of one image.</summary>
    /// <inheritdoc cref="ForwardFlopsPerImage"/>
    public static double TrainingFlopsPerImage(GptConfig config, int patchSide, double? captionTokens = null)
        => 3 * ForwardFlopsPerImage(config, patchSide, captionTokens);
}

/// <summary>Cost of one stage.</summary>
/// <param name="Stage">Patch side, first step and length.</param>
/// <param name="TokensPerImage">Training sequence length, (g / p)^2.</param>
/// <param name="Images">Images seen in the stage.</param>
/// <param name="FlopsPerImage">Forward and backward FLOPs per image.</param>
/// <param name="RelativeFlopsPerImage">Against patch side 1.</param>
/// <param name="RelativeShare">This stage's part of the published relative cost, (share of steps) / p^2.</param>
public sealed record StageCost(
    PatchStage Stage, int TokensPerImage, long Images, double FlopsPerImage, double RelativeFlopsPerImage, double RelativeShare);
