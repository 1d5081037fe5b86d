namespace NextPatch.Cli.Studies;

/// <summary>A piece of a study's work: a trial, the choice of a guidance, or a reported run.</summary>
/// <param name="Name">As the study shows it: runs/npp-1.</param>
/// <param name="Needs">Names of the pieces that must be done before.</param>
/// <param name="Flops">What it is expected to cost.</param>
internal sealed record StudyTask(string Name, IReadOnlyList<string> Needs, double Flops)
{
    /// <summary>The run, once it is known; null where the piece is the choice of a guidance.</summary>
    public Func<StudyRun?> Run { get; init; } = () => null;

    /// <summary>The schedule whose guidance it chooses; null for runs.</summary>
    public StudySchedule? Guidance { get; init; }

    /// <summary>Whether nothing is left to do.</summary>
    public required Func<bool> IsDone { get; init; }

    /// <summary>
    /// The pieces of a study in the order in which they are worth having: for each seed the schedules as they are listed, each behind what it needs.
    /// </summary>
    public static IReadOnlyList<StudyTask> From(StudyPlan plan)
    {
        var tasks = new List<StudyTask>();
        void Add(StudyTask task)
        {
            if (tasks.TrueForAll(t => t.Name != task.Name))
            {
                tasks.Add(task);
            }
        }

        void AddRun(StudySchedule schedule, ulong seed)
        {
            var needs = plan.Needs(schedule, seed).ToList();
            needs.ForEach(n => AddRun(n.Schedule, n.Seed));
            var chosen = Choices(plan, schedule);
            chosen.ForEach(Add);
            Add(new StudyTask(
                NameOf(plan, schedule, seed), [.. needs.Select(n => NameOf(plan, n.Schedule, n.Seed)), .. chosen.Select(c => c.Name)],
                plan.CostOf(schedule, plan.PlannedSteps(schedule)).TotalFlops)
            {
                Run = () => plan.Reported(schedule, seed), IsDone = () => plan.Reported(schedule, seed)?.IsDone == true,
            });
        }

        foreach (var seed in plan.File.Seeds)
        {
            foreach (var schedule in plan.File.Schedules)
            {
                AddRun(schedule, seed);
            }
        }

        return tasks;
    }

    private static List<StudyTask> Choices(StudyPlan plan, StudySchedule schedule)
    {
        if (!plan.IsTuned(schedule))
        {
            return [];
        }

        var trials = plan.RatesOf(schedule).Select(rate => plan.Trial(schedule, rate))
            .Select(run => new StudyTask("tuning/" + run.Name, [], run.Cost.TotalFlops) { Run = () => run, IsDone = () => run.IsDone }).ToList();
        if (plan.File.Tuning!.CfgScale.Count > 1)
        {
            if (plan.File.Tuning.CfgShare is { } share)
            {
                trials.Add(new StudyTask(
                    $"tuning/{schedule.Name}-share", [.. trials.Select(t => t.Name)], trials[0].Flops / plan.File.Tuning.Share * share)
                {
                    Run = () => plan.GuidanceRun(schedule), IsDone = () => plan.GuidanceRun(schedule)?.IsDone == true,
                });
            }

            trials.Add(new StudyTask($"tuning/{schedule.Name}-guidance", [.. trials.Select(t => t.Name)], 0)
            {
                Guidance = schedule, IsDone = () => plan.Guidance(schedule) is not null,
            });
        }

        return trials;
    }

    private static string NameOf(StudyPlan plan, StudySchedule schedule, ulong seed) => "runs/" + Path.GetFileName(plan.FolderOf(schedule, seed));
}
