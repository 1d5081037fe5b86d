using CsCheck;
using NextPatch.Core.Configuration;
using NextPatch.Core.Patches;

namespace NextPatch.Core.Tests.Patches;

public sealed class LearningRateScheduleTests
{
    [Fact]
    public void Each_stage_warms_up_holds_and_decays_by_itself()
    {
        var stages = PatchSchedule.Create(4, 10, [2, 1], 0.5);
        var rate = new LearningRateSchedule(stages, 1e-4, 1e-5, _ => 5, 0.2);
        foreach (var start in new[] { 0, 20 })
        {
            Assert.Equal(0, rate.At(start));
            Assert.Equal(0.6e-4, rate.At(start + 3), 12);
            Assert.Equal(1e-4, rate.At(start + 5), 12);
            Assert.Equal(1e-4, rate.At(start + 16), 12);
            Assert.Equal(1e-4 * (1 - (0.9 * 3 / 4)), rate.At(start + 19), 12);
        }
    }

    [Fact]
    public void Warmup_stable_decay_does_not_see_the_stages()
    {
        var training = new TrainingConfig
        {
            Steps = 40, PatchLevel = 3, LearningRate = 1e-3, EndLearningRate = 1e-4, WarmupShare = 0.1, DecayRatio = 0.25,
            LearningRateCourse = LearningRateCourse.Wsd,
        };
        var rate = training.CreateLearningRate(training.CreateSchedule(1), 1);
        Assert.Equal(0.5e-3, rate.At(2), 12);
        Assert.All(Enumerable.Range(4, 27), step => Assert.Equal(1e-3, rate.At(step), 12)); // switches at 10 and 20
        Assert.Equal(1e-3 * (1 - (0.9 * 5 / 10)), rate.At(35), 12);
    }

    [Fact]
    public void Past_the_end_the_rate_stays_at_the_end_rate()
    {
        var rate = new LearningRateSchedule(PatchSchedule.Create(4, 10, [2, 1], 0.5), 1e-4, 1e-5, _ => 5, 0.2);
        Assert.Equal(1e-5, rate.At(40), 12);
        Assert.Equal(1e-5, rate.At(400), 12);
    }

    [Fact]
    public void The_rate_is_never_negative_nor_above_the_base()
        => Gen.Select(Gen.Long[1, 40], Gen.Int[1, 4], Gen.Double[0, 60], Gen.Double[0, 1]).Sample((units, level, warmup, decay) =>
        {
            var rate = new LearningRateSchedule(PatchSchedule.Create(units, 3, PatchSchedule.LevelSides(level), 0.5), 1e-3, 1e-4, _ => warmup, decay);
            return Enumerable.Range(0, (int)(units * 3) + 5).All(s => rate.At(s) is >= 0 and <= 1e-3 * (1 + 1e-12));
        });
}
