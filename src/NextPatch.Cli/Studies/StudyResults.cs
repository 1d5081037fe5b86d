using System.Text.Json.Nodes;
using NextPatch.Cli.Diagnostics;
using NextPatch.Training.Gpt;

namespace NextPatch.Cli.Studies;

/// <summary>What a study has given so far, read from its folder.</summary>
internal sealed class StudyResults
{
    private StudyResults(StudyPlan plan, IReadOnlyList<StudyScheduleResult> schedules) => (Plan, Schedules) = (plan, schedules);

    public StudyPlan Plan { get; }

    /// <summary>In the file's order; the first is what others are compared with.</summary>
    public IReadOnlyList<StudyScheduleResult> Schedules { get; }

    /// <summary>Names of the figures that were measured, the Fréchet distance first.</summary>
    public IReadOnlyList<string> Figures => [.. Schedules.SelectMany(s => s.Runs).SelectMany(r => r.Points).SelectMany(p => p.Figures.Keys).Distinct()
        .OrderBy(name => StudyMetric.IsDistance(name) ? 0 : 1)];

    public static StudyResults Read(StudyPlan plan) => new(plan, [.. plan.File.Schedules.Select(schedule => new StudyScheduleResult(
        schedule, plan.CostOf(schedule, plan.PlannedSteps(schedule)), plan.Rate(schedule), plan.Guidance(schedule),
        [.. plan.File.Seeds.Select(seed => (Seed: seed, Run: plan.Reported(schedule, seed))).Where(r => r.Run is not null)
            .Select(r => new StudyRunResult(r.Seed, r.Run!, r.Run!.ReadPoints())).Where(r => r.Points.Count > 0)]))]);

    /// <summary>As <c>study.json</c> holds it.</summary>
    public JsonObject ToJson(string codes, string? tokenizer) => new()
    {
        ["formatVersion"] = 1,
        ["codes"] = Path.GetFullPath(codes),
        ["tokenizer"] = tokenizer is null ? null : Path.GetFullPath(tokenizer),
        ["machine"] = Processor.Detect().Describe(),
        ["trainingImages"] = Plan.TrainingImages,
        ["parameters"] = Plan.ConfigOf(Plan.File.Schedules[0]).Model.ParameterCount,
        ["tuningSeed"] = Plan.File.Tuning?.Seed,
        ["schedules"] = new JsonArray([.. Schedules.Select(Describe)]),
        ["runs"] = new JsonArray([.. Schedules.SelectMany(s => s.Runs.Select(r => Describe(s, r)))]),
    };

    private static JsonObject Describe(StudyScheduleResult schedule) => new()
    {
        ["schedule"] = schedule.Schedule.Name,
        ["equal"] = schedule.Schedule.Equal.ToString().ToLowerInvariant(),
        ["to"] = schedule.Schedule.To,
        ["train"] = schedule.Schedule.Train.DeepClone(),
        ["plannedFlops"] = schedule.Cost.TotalFlops,
        ["plannedRelativeCost"] = schedule.Cost.RelativeCost,
        ["learningRate"] = schedule.Rate?.Rate,
        ["learningRatesTried"] = schedule.Rate is null ? null : new JsonArray([.. schedule.Rate.Value.Tried.Select(t => new JsonObject
        {
            ["learningRate"] = t.Rate, ["loss"] = t.Loss < double.MaxValue ? t.Loss : null,
        })]),
        ["cfgScale"] = schedule.Guidance?.Scale,
        ["cfgScalesTried"] = schedule.Guidance is null ? null : new JsonArray([.. schedule.Guidance.Value.Tried.Select(t => new JsonObject
        {
            ["cfgScale"] = t.Scale, ["distance"] = t.Distance,
        })]),
    };

    private static JsonObject Describe(StudyScheduleResult schedule, StudyRunResult run) => new()
    {
        ["schedule"] = schedule.Schedule.Name,
        ["seed"] = run.Seed,
        ["folder"] = Path.GetFullPath(run.Run.Folder),
        ["isDone"] = run.Run.IsDone,
        ["steps"] = run.Run.Steps,
        ["learningRate"] = run.Run.Training.LearningRate,
        ["cfgScale"] = run.Run.Guidance,
        ["plannedFlops"] = run.Run.Cost.TotalFlops,
        ["points"] = new JsonArray([.. run.Points.Select(Describe)]),
    };

    private static JsonObject Describe(RunMark point)
    {
        var json = new JsonObject
        {
            ["step"] = point.Step, ["images"] = point.Images, ["flops"] = point.Flops, ["cpuSeconds"] = point.CpuSeconds,
            ["wallSeconds"] = point.WallSeconds, ["loss"] = point.Loss, ["emaLoss"] = point.EmaLoss,
        };
        foreach (var (name, value) in point.Figures.Where(f => double.IsFinite(f.Value)))
        {
            json[name] = value;
        }

        return json;
    }
}

/// <summary>A schedule and what became of it.</summary>
/// <param name="Schedule">As the file has it.</param>
/// <param name="Cost">As planned; of one that is equal in time, of equal FLOPs.</param>
/// <param name="Rate">Its learning rate, and the trials; null while they are not done.</param>
/// <param name="Guidance">Its guidance, and the trials; null while they are not done.</param>
/// <param name="Runs">Those with a measurement, in the order of the seeds.</param>
internal sealed record StudyScheduleResult(
    StudySchedule Schedule, Core.Configuration.TrainingCost Cost, (double Rate, IReadOnlyList<(double Rate, double Loss)> Tried)? Rate,
    (double? Scale, IReadOnlyList<(double Scale, double Distance)> Tried)? Guidance, IReadOnlyList<StudyRunResult> Runs)
{
    /// <summary>Runs that were measured to their end.</summary>
    public IReadOnlyList<StudyRunResult> Finished => [.. Runs.Where(r => r.Points[^1].Step == r.Run.Steps)];
}

/// <summary>A run and what was measured of it.</summary>
/// <param name="Seed">Of weights and order.</param>
/// <param name="Run">What it is.</param>
/// <param name="Points">At least one.</param>
internal sealed record StudyRunResult(ulong Seed, StudyRun Run, IReadOnlyList<RunMark> Points);
