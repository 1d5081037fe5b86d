using System.Globalization;
using NextPatch.Core;
using NextPatch.Core.Configuration;

namespace NextPatch.Training.Gpt;

/// <summary>A later end for a run: what it means for its schedule, and what a person should know about it.</summary>
internal static class RunExtension
{
    /// <summary>The settings with the length that the options ask for.</summary>
    /// <exception cref="ConfigException">The run is fresh, or longer already.</exception>
    public static TrainingConfig Apply(TrainingConfig training, GptRunOptions options, long images)
    {
        if (options.ExtendTo is not { } steps)
        {
            return training;
        }

        return options.Resume ? training.LengthenedTo(steps, images) : throw new ConfigException(
            $"ExtendTo {steps} lengthens a run that is there, but this one begins; continue one with Resume, or give it that length with Steps.")
        {
            Settings = ["ExtendTo", "Resume", "Steps"],
        };
    }

    /// <summary>Tells what a later end does; nothing where it is the same.</summary>
    /// <param name="before">Settings of the shorter run.</param>
    /// <param name="after">Of the longer one.</param>
    /// <param name="images">Images of the training part.</param>
    /// <param name="step">Steps done.</param>
    /// <param name="note">Receives sentences.</param>
    public static void Explain(TrainingConfig before, TrainingConfig after, long images, long step, Action<string>? note)
    {
        var (old, grown) = (before.CreateSchedule(images), after.CreateSchedule(images));
        if (note is null || old.TotalSteps == grown.TotalSteps)
        {
            return;
        }

        var (oldRate, rate) = (before.CreateLearningRate(old, images), after.CreateLearningRate(grown, images));
        var last = grown.Stages[^1];
        var decaying = after.LearningRateCourse == LearningRateCourse.Wsd ? grown.TotalSteps : last.StepCount;
        var decay = grown.TotalSteps - (long)(decaying * after.DecayRatio);
        note(string.Create(CultureInfo.InvariantCulture,
            $"The run grows from {old.TotalSteps} to {grown.TotalSteps} steps: its last stage (p = {last.PatchSide}) goes on, the others stay as "
                + $"they were."));
        note(string.Create(CultureInfo.InvariantCulture,
            $"The learning rate goes from {oldRate.At(Math.Max(step - 1, 0)):0.0e+0} to {rate.At(step):0.0e+0} at step {step} and falls again from "
                + $"step {decay} on, so ")
            + "the loss may rise before it falls. A run of this length from the start would have had longer coarse stages and one fall at its end.");
    }
}
