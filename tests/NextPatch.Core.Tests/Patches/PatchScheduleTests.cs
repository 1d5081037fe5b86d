using CsCheck;
using NextPatch.Core.Patches;

namespace NextPatch.Core.Tests.Patches;

public sealed class PatchScheduleTests
{
    [Theory]
    [InlineData(1, new[] { 1 })]
    [InlineData(2, new[] { 2, 1 })]
    [InlineData(3, new[] { 4, 2, 1 })]
    [InlineData(4, new[] { 8, 4, 2, 1 })]
    public void Levels_have_the_published_sides(int level, int[] sides) => Assert.Equal(sides, PatchSchedule.LevelSides(level));

    /// <summary>Bounds of the published code for runs in its tables.</summary>
    [Theory]
    [InlineData(300, 4, 0.5, new long[] { 37, 75, 150, 300 })]
    [InlineData(300, 4, 0.67, new long[] { 90, 134, 201, 300 })]
    [InlineData(300, 3, 0.5, new long[] { 75, 150, 300 })]
    [InlineData(3, 4, 0.5, new long[] { 0, 0, 1, 3 })]
    public void Bounds_are_the_published_ones(long epochs, int level, double rate, long[] bounds)
        => Assert.Equal(bounds, PatchSchedule.Bounds(epochs, level, rate));

    [Fact]
    public void Empty_stages_never_run()
    {
        var schedule = PatchSchedule.Create(3, 10, PatchSchedule.LevelSides(4), 0.5);
        Assert.Equal([(2, 0L, 10L), (1, 10L, 30L)], schedule.Stages.Select(s => (s.PatchSide, s.Start, s.End)));
    }

    [Fact]
    public void Every_step_has_one_stage_and_sides_never_grow()
        => Gen.Select(Gen.Long[1, 60], Gen.Long[1, 20], Gen.Int[1, 5], Gen.Double[0.05, 0.95]).Sample((units, perUnit, level, rate) =>
        {
            var schedule = PatchSchedule.Create(units, perUnit, PatchSchedule.LevelSides(level), rate);
            var sides = Enumerable.Range(0, (int)schedule.TotalSteps).Select(s => schedule.At(s).PatchSide).ToList();
            return schedule.TotalSteps == units * perUnit
                && sides.Zip(sides.Skip(1)).All(p => p.First >= p.Second)
                && schedule.Stages.Sum(s => s.StepCount) == schedule.TotalSteps;
        });

    [Theory]
    [InlineData(0, 0.5)]
    [InlineData(10, 0.0)]
    [InlineData(10, 1.5)]
    [InlineData(10, double.NaN)]
    public void Impossible_settings_are_refused(long steps, double rate)
        => Assert.Throws<ConfigException>(() => PatchSchedule.Create(steps, 1, [2, 1], rate));
}
