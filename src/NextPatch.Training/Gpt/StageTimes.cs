using NextPatch.Core.Configuration;
using NextPatch.Core.Patches;

namespace NextPatch.Training.Gpt;

/// <summary>Seconds that the training steps of each stage took, over all sessions of the run, and what they say about the rest.</summary>
/// <param name="stages">How many there are.</param>
internal sealed class StageTimes(int stages)
{
    private readonly double[] _seconds = new double[stages];

    /// <summary>By stage index.</summary>
    public IReadOnlyList<double> Seconds => _seconds;

    public void Restore(IReadOnlyList<double> seconds) => seconds.Take(_seconds.Length).ToArray().CopyTo(_seconds, 0);

    public void Add(PatchStage stage, double seconds) => _seconds[stage.Index] += seconds;

    /// <summary>
    /// Seconds of what is left after <paramref name="step"/> steps, from the planned FLOPs of each stage and the seconds its FLOPs took so far.
    /// </summary>
    public double SecondsLeft(TrainingCost cost, long step)
    {
        double done = 0, left = 0;
        foreach (var stage in cost.Stages)
        {
            var steps = Math.Clamp(step - stage.Stage.Start, 0, stage.Stage.StepCount);
            done += steps * stage.FlopsPerImage;
            left += (stage.Stage.StepCount - steps) * stage.FlopsPerImage;
        }

        return done > 0 ? _seconds.Sum() / done * left : 0;
    }
}
