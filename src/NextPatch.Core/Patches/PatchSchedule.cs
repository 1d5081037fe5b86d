namespace NextPatch.Core.Patches;

/// <summary>Which patch side is trained at which optimiser step: a pure function of the step (NPP, "multi-scale coarse-to-fine").</summary>
public sealed class PatchSchedule
{
    private PatchSchedule(IReadOnlyList<PatchStage> stages)
    {
        Stages = stages;
        TotalSteps = stages[^1].End;
    }

    /// <summary>The stages that run, coarsest first, without gaps. Stages that the integer rounding left empty are not listed.</summary>
    public IReadOnlyList<PatchStage> Stages { get; }

    /// <summary>Optimizer steps of all stages together.</summary>
    public long TotalSteps { get; }

    /// <summary>The published patch sides of a level: 1 [1], 2 [2, 1], 3 [4, 2, 1], 4 [8, 4, 2, 1], and so on.</summary>
    public static IReadOnlyList<int> LevelSides(int level) => level is >= 1 and <= 16
        ? [.. Enumerable.Range(0, level).Select(i => 1 << (level - 1 - i))]
        : throw new ConfigException($"The patch level is {level}; allowed are 1 (plain next-token prediction) to 16.");

    /// <summary>
    /// The published stage bounds: int(units * rate^i) for i = 0 .. levels - 1, reversed, in double arithmetic and truncated, times
    /// <paramref name="stepsPerUnit"/>.
    /// </summary>
    /// <param name="units">Length of the run in epochs, or in steps with <paramref name="stepsPerUnit"/> = 1.</param>
    /// <param name="stepsPerUnit">Optimiser steps per unit.</param>
    /// <param name="sides">Patch sides, coarsest first; the last should be 1, since generation predicts single codes.</param>
    /// <param name="rate">Share of a stage's end at which the one before ends, above 0; at 1 only the coarsest stage runs, as published
    /// (no run that is to generate should want it, so <c>TrainingConfig.Validated</c> refuses it).</param>
    /// <exception cref="ConfigException">A setting is out of range.</exception>
    public static PatchSchedule Create(long units, long stepsPerUnit, IReadOnlyList<int> sides, double rate)
    {
        var problems = new List<string>();
        if (units < 1 || stepsPerUnit < 1)
        {
            problems.Add($"The run has {units} x {stepsPerUnit} steps; it needs at least one.");
        }

        if (sides.Count == 0 || sides.Any(s => s < 1))
        {
            problems.Add($"Patch sides [{string.Join(", ", sides)}] must be a list of whole numbers of at least 1.");
        }

        if (rate is not (> 0 and <= 1) && sides.Count > 1)
        {
            problems.Add($"The stage rate is {rate}; it must be greater than 0 and at most 1 (published: 0.5).");
        }

        if (problems.Count > 0)
        {
            throw new ConfigException(problems);
        }

        var stages = new List<PatchStage>();
        var start = 0L;
        foreach (var (side, bound) in sides.Zip(Bounds(units, sides.Count, rate)))
        {
            var end = bound * stepsPerUnit;
            if (end > start)
            {
                stages.Add(new PatchStage(stages.Count, side, start, end));
                start = end;
            }
        }

        return new PatchSchedule(stages);
    }

    /// <summary>Stages as they are listed. A share ends at the step nearest to it; a stage that is left without a step is not listed.</summary>
    /// <param name="totalSteps">Optimiser steps of the run.</param>
    /// <param name="stages">In order; shares add up to 100 %, steps to <paramref name="totalSteps"/>.</param>
    /// <exception cref="ConfigException">They do not, or no step is left for the last stage.</exception>
    public static PatchSchedule Create(long totalSteps, IReadOnlyList<StageLength> stages)
    {
        var problems = ProblemsOf(stages).ToList();
        if (problems.Count > 0)
        {
            throw new ConfigException(problems);
        }

        var (listed, start, percent) = (new List<PatchStage>(), 0L, 0.0);
        foreach (var stage in stages)
        {
            percent += stage.Percent ?? 0;
            var end = start + stage.Steps ?? (ReferenceEquals(stage, stages[^1]) ? totalSteps : (long)Math.Round(totalSteps * percent / 100));
            if (end > start)
            {
                listed.Add(new PatchStage(listed.Count, stage.PatchSide, start, end));
                start = end;
            }
        }

        return start == totalSteps && listed is [.., var last] && last.PatchSide == stages[^1].PatchSide
            ? new PatchSchedule(listed)
            : throw new ConfigException($"The stages {string.Join(',', stages)} do not fit a run of {totalSteps} steps: "
                + (start == totalSteps ? "the last one is left without a step." : $"they have {start}."));
    }

    /// <summary>Why stages cannot be a schedule, whatever the length of the run; none where they can.</summary>
    public static IEnumerable<string> ProblemsOf(IReadOnlyList<StageLength> stages)
    {
        var list = string.Join(',', stages);
        bool IsLength(StageLength s) => s is { Percent: > 0 and <= 100, Steps: null } or { Percent: null, Steps: >= 1 };
        if (stages.Count == 0 || !stages.All(s => s.PatchSide > 0 && IsLength(s)))
        {
            yield return $"the stages '{list}' must each have a patch side of at least 1 and a share above 0 % or at least one step";
        }
        else if (stages.Any(s => s.Steps is null) && stages.Any(s => s.Steps is not null))
        {
            yield return $"the stages '{list}' mix shares and numbers of steps; use one of them";
        }
        else if (stages[0].Percent is not null && Math.Abs(stages.Sum(s => s.Percent!.Value) - 100) > 1e-6)
        {
            yield return $"the shares of the stages '{list}' add up to {stages.Sum(s => s.Percent):0.######} %; they must add up to 100 %";
        }
    }

    /// <summary>The same with a stage that ends at another step; the one after begins there.</summary>
    /// <param name="index">Of a stage before the last.</param>
    /// <param name="end">Between its start and the end of the stage after.</param>
    internal PatchSchedule WithEnd(int index, long end) => new(
        [.. Stages.Select(s => s.Index == index ? s with { End = end } : s.Index == index + 1 ? s with { Start = end } : s)]);

    /// <summary>The published table <c>epoch_range</c>, empty stages included.</summary>
    public static IReadOnlyList<long> Bounds(long units, int levels, double rate)
        => [.. Enumerable.Range(0, levels).Select(i => (long)(units * Math.Pow(rate, i))).Reverse()];

    /// <summary>The stage of an optimiser step; the last one for steps past the end.</summary>
    public PatchStage At(long step)
    {
        ArgumentOutOfRangeException.ThrowIfNegative(step);
        foreach (var stage in Stages)
        {
            if (step < stage.End)
            {
                return stage;
            }
        }

        return Stages[^1];
    }
}

/// <summary>
/// One stage of coarse-to-fine training: optimiser steps [<paramref name="Start"/>, <paramref name="End"/>) with patches of side
/// <paramref name="PatchSide"/>.
/// </summary>
/// <param name="Index">Position in the schedule, 0 = coarsest.</param>
/// <param name="PatchSide">Side p, in codes.</param>
/// <param name="Start">First optimiser step.</param>
/// <param name="End">Step after the last.</param>
public sealed record PatchStage(int Index, int PatchSide, long Start, long End)
{
    /// <summary>Number of optimiser steps.</summary>
    public long StepCount => End - Start;
}
