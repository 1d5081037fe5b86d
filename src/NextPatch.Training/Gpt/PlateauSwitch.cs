using NextPatch.Core.Configuration;
using NextPatch.Core.Patches;

namespace NextPatch.Training.Gpt;

/// <summary>
/// Ends coarse stages early: where the held-out patch loss of a stage falls by less per FLOP than a share of the most that it fell so far. What it
/// looks at is computed from the weights, so a resumed run decides as one that was never stopped.
/// </summary>
/// <param name="share">Below it a stage ends; 0 to 1.</param>
/// <param name="state">What a run that is resumed remembers; null: a fresh one.</param>
internal sealed class PlateauSwitch(double share, PlateauState? state)
{
    /// <summary>Held-out images per look: the same ones each time, so that little noise remains.</summary>
    public const int Images = 256;

    private const int LooksPerRun = 100;

    /// <summary>What a checkpoint keeps.</summary>
    public PlateauState State { get; private set; } = state ?? new PlateauState { Ends = [] };

    /// <summary>Whether a stage is looked at before a step.</summary>
    public static bool IsDue(PatchSchedule schedule, long step)
        => schedule.At(step) is var stage && stage.Index < schedule.Stages.Count - 1 && step > stage.Start
            && step % Math.Max(1, schedule.TotalSteps / LooksPerRun) == 0;

    /// <summary>The schedule with the ends that were found.</summary>
    public PatchSchedule Apply(PatchSchedule schedule)
    {
        for (var i = 0; i < State.Ends.Count; i++)
        {
            schedule = schedule.WithEnd(i, State.Ends[i]);
        }

        return schedule;
    }

    /// <summary>Takes note of a loss.</summary>
    /// <param name="schedule">As it is so far.</param>
    /// <param name="step">Steps done.</param>
    /// <param name="flops">FLOPs of these.</param>
    /// <param name="loss">Held-out patch loss of the stage.</param>
    /// <returns>Whether the stage ends here.</returns>
    public bool EndsStage(PatchSchedule schedule, long step, double flops, double loss)
    {
        var index = schedule.At(step).Index;
        if (!double.IsFinite(loss))
        {
            return false;
        }

        if (State.Stage != index)
        {
            State = new PlateauState { Ends = State.Ends, Stage = index }; // losses of patches of another size do not compare
        }

        var slope = State.Loss is { } before ? (before - loss) / (flops - State.Flops) : double.PositiveInfinity;
        var isPlateau = State.Loss is not null && State.BestSlope > 0 && slope < share * State.BestSlope;
        if (isPlateau)
        {
            // Stages before this one that ran to their end keep it, so that places in the list are indices of stages.
            State = new PlateauState
            {
                Stage = index,
                Ends = [.. State.Ends, .. schedule.Stages.Skip(State.Ends.Count).Take(index - State.Ends.Count).Select(s => s.End), step],
            };
            return true;
        }

        State = State with
        {
            Loss = loss,
            Flops = flops,
            BestSlope = State.Loss is null ? 0 : Math.Max(State.BestSlope, slope),
        };
        return false;
    }
}
