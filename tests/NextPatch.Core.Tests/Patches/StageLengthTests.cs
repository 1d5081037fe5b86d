using CsCheck;
using NextPatch.Core.Configuration;
using NextPatch.Core.Patches;

namespace NextPatch.Core.Tests.Patches;

public sealed class StageLengthTests
{
    [Theory]
    [InlineData("4:10%,2:30%,1:60%", 1000, new[] { 4, 2, 1 }, new long[] { 100, 400, 1000 })]
    [InlineData("2:33.4%, 1:66.6%", 10, new[] { 2, 1 }, new long[] { 3, 10 })]
    [InlineData("4:500,2:1000,1:3000", 4500, new[] { 4, 2, 1 }, new long[] { 500, 1500, 4500 })]
    [InlineData("1:20%,2:40%,1:40%", 10, new[] { 1, 2, 1 }, new long[] { 2, 6, 10 })] // sides may come again
    [InlineData("1:50%,1:50%", 10, new[] { 1, 1 }, new long[] { 5, 10 })]
    [InlineData("4:1%,1:99%", 10, new[] { 1 }, new long[] { 10 })]                    // no step is left for the first stage
    public void A_list_gives_the_stages_it_names(string list, long steps, int[] sides, long[] ends)
    {
        var schedule = PatchSchedule.Create(steps, StageLength.ParseList(list));
        Assert.Equal(sides, schedule.Stages.Select(s => s.PatchSide));
        Assert.Equal(ends, schedule.Stages.Select(s => s.End));
        Assert.Equal(Enumerable.Range(0, sides.Length), schedule.Stages.Select(s => s.Index));
    }

    [Fact]
    public void Every_step_has_one_stage_and_shares_are_met_to_a_step()
        => Gen.Select(Gen.Int[1, 97].Array[0, 5], Gen.Long[200, 5000]).Sample((parts, steps) =>
        {
            int[] weights = [.. parts, 50];
            var stages = weights.Select((w, i) => new StageLength(weights.Length - i, Percent: 100.0 * w / weights.Sum())).ToList();
            var schedule = PatchSchedule.Create(steps, stages);
            var starts = schedule.Stages.Select(s => s.Start).ToList();
            double StepsOf(PatchStage stage) => stages.Single(l => l.PatchSide == stage.PatchSide).Percent!.Value * steps / 100;
            return schedule.TotalSteps == steps && starts[0] == 0
                && starts.Skip(1).SequenceEqual(schedule.Stages.SkipLast(1).Select(s => s.End))
                && schedule.Stages.All(s => Math.Abs(s.StepCount - StepsOf(s)) <= 1)
                && StageLength.ParseList(string.Join(',', stages)).SequenceEqual(stages);
        });

    [Theory]
    [InlineData("4:10%,1", "is not a patch side")]
    [InlineData("4:10%,x:90%", "is not a patch side")]
    [InlineData("2:50%,1:60%", "add up to 110 %")]
    [InlineData("2:50%,1:60", "mix shares and numbers")]
    [InlineData("2:0%,1:100%", "share above 0 %")]
    [InlineData("2:0,1:10", "at least one step")]
    [InlineData("2:50,1:40", "do not fit a run of 100 steps: they have 90")]
    [InlineData("2:99.9%,1:0.1%", "the last one is left without a step")]
    public void Lists_that_cannot_be_a_schedule_are_refused(string list, string message)
    {
        var error = Assert.Throws<ConfigException>(() => PatchSchedule.Create(100, StageLength.ParseList(list)));
        Assert.Contains(message, error.Message, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("3:10%,1:90%", "cannot be divided into 3x3")]
    [InlineData("1:10%,2:90%", "the last patch side is 2")]
    [InlineData("0:10%,1:90%", "a patch side of at least 1")]
    [InlineData("2:10,1:20", "must be the sum of the stages' steps, 30")]
    public void A_run_refuses_stages_that_do_not_fit_it(string list, string message)
    {
        var training = new TrainingConfig { Steps = 100, Stages = StageLength.ParseList(list) };
        Assert.Contains(message, Assert.Throws<ConfigException>(() => training.Validated(GptPresets.Get("B"))).Message, StringComparison.Ordinal);
    }

    /// <summary>Each stage warms up and decays by itself, as the published ones.</summary>
    [Fact]
    public void The_learning_rate_follows_listed_stages()
    {
        var training = new TrainingConfig { Steps = 100, Stages = StageLength.ParseList("2:40%,1:60%"), WarmupShare = 0.1 };
        var rate = training.Validated(GptPresets.Get("B")).CreateLearningRate(training.CreateSchedule(0), 0);
        Assert.Equal((0, training.LearningRate, 0, training.LearningRate), (rate.At(0), rate.At(20), rate.At(40), rate.At(60)));
        Assert.True(rate.At(39) < training.LearningRate && rate.At(99) < training.LearningRate);
    }
}
