using NextPatch.Core.Configuration;
using NextPatch.Core.Patches;

namespace NextPatch.Core.Tests.Patches;

public sealed class TrainingCostTests
{
    /// <summary>Relative costs as the paper counts them.</summary>
    [Theory]
    [InlineData(1, 0.5, 1.0)]
    [InlineData(2, 0.5, 0.625)]
    [InlineData(2, 0.67, 0.4975)]
    [InlineData(3, 0.5, 0.578125)]
    [InlineData(4, 0.5, 0.57234375)]
    public void Relative_cost_is_the_published_one(int level, double rate, double expected)
    {
        var cost = new TrainingCost(GptPresets.Get("B"), PatchSchedule.Create(300, 5004, PatchSchedule.LevelSides(level), rate), 256);
        Assert.Equal(expected, cost.RelativeCost, 4);
    }

    /// <summary>
    /// Half of the steps at p = 2: with as many FLOPs a step, four times the images; with a share of them mixed in, less per image.
    /// </summary>
    [Fact]
    public void Coarse_batches_and_mixed_patches_are_counted()
    {
        var training = new TrainingConfig { BatchSize = 8, Steps = 100, PatchLevel = 2, CoarseBatch = CoarseBatch.Flops };
        var equal = new TrainingCost(GptPresets.Get("B"), training.CreateSchedule(1), training);
        Assert.Equal([50L * 32, 50 * 8], equal.Stages.Select(s => s.Images));
        Assert.Equal((0.8 / 4) + 0.2, equal.RelativeCost, 6);

        training = training with { CoarseBatch = CoarseBatch.Images, CoarseShare = 0.25 };
        var mixed = new TrainingCost(GptPresets.Get("B"), training.CreateSchedule(1), training);
        var (coarse, fine) = (TrainingCost.TrainingFlopsPerImage(GptPresets.Get("B"), 2), TrainingCost.TrainingFlopsPerImage(GptPresets.Get("B"), 1));
        Assert.Equal((0.75 * fine) + (0.25 * coarse), mixed.Stages[1].FlopsPerImage, 1.0);
        Assert.Equal(0.125 + (0.5 * (0.75 + (0.25 / 4))), mixed.RelativeCost, 6);
    }

    [Fact]
    public void Forward_flops_of_B_are_those_of_the_papers_chart()
    {
        // 24.8 G multiply-adds, digitised from the published figure.
        var withoutAttention = 2.0 * 256 * ((12 * GptPresets.Get("B").BlockMatrixWeights) + (768L * 16384));
        Assert.InRange(withoutAttention / 2e9, 24.5, 25.3);
        Assert.InRange(TrainingCost.ForwardFlopsPerImage(GptPresets.Get("B"), 1) / withoutAttention, 1.0, 1.06);
    }

    [Fact]
    public void Patches_save_more_than_the_square_because_of_attention()
    {
        var cost = new TrainingCost(GptPresets.Get("B"), PatchSchedule.Create(2, 10, [2, 1], 0.5), 4);
        Assert.InRange(cost.Stages[0].RelativeFlopsPerImage, 0.23, 0.25);
    }
}
