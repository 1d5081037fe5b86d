using NextPatch.Core.Configuration;
using NextPatch.Core.Patches;
using NextPatch.Data.Codes;
using NextPatch.Training.Gpt;
using NextPatch.Training.Tokenizer;

namespace NextPatch.Cli.Quickstart;

/// <summary>
/// Fits step counts to a wished duration by timing a few steps on the machine at hand. Only used with <c>--minutes</c>, because the result depends on
/// the machine.
/// </summary>
internal static class TimeBudget
{
    private const int ProbeSteps = 12;
    private const int MinimumSteps = 40;

    /// <summary>The tokenizer gets a fifth of what is left: its quality saturates first.</summary>
    public static double ForTokenizer(double secondsLeft) => secondsLeft * 0.2;

    /// <summary>What is left less the parts that follow, which take about as long as encoding and judging did.</summary>
    public static double ForTraining(double secondsLeft, IReadOnlyDictionary<string, double> secondsByPart)
        => secondsLeft - (1.5 * secondsByPart["codes"]) - 6;

    public static TokenizerRunConfig Fit(
        TokenizerRunConfig config, TokenizerImages images, string scratch, double seconds, CancellationToken cancellation)
    {
        Probe(); // warms up
        var steps = Math.Max(MinimumSteps, (int)(seconds / (Probe() / ProbeSteps)));
        return config with { Steps = steps, ContinuousSteps = steps / 10 };

        double Probe()
        {
            double taken;
            using (var run = new TokenizerRun(
                config with { Steps = ProbeSteps, ContinuousSteps = 0 }, images, new TokenizerRunOptions { Output = scratch }))
            {
                taken = run.Run(cancellation).Seconds;
            }

            Directory.Delete(scratch, recursive: true);
            return taken;
        }
    }

    public static TrainingConfig Fit(
        TrainingConfig config, GptConfig model, CodeStore store, string scratch, double seconds, CancellationToken cancellation)
    {
        // FLOPs tell the ratio between stages; the probe runs every stage, so short sequences are timed as they are.
        var schedule = config with { Steps = ProbeSteps * config.Sides.Count };
        TrainingResult result;
        using (var trainer = new GptTrainer(
            new CheckpointConfig { Model = model, Training = schedule }, store, new GptRunOptions { Output = scratch }))
        {
            result = trainer.Run(cancellation);
        }

        Directory.Delete(scratch, recursive: true);
        var perImage = result.StageSeconds.Zip(result.StageImages, (s, n) => s / n).ToArray();
        var shares = PatchSchedule.Create(1_000_000, 1, config.Sides, config.StageRate).Stages;
        var secondsPerStep = shares.Select((stage, i) => perImage[Math.Min(i, perImage.Length - 1)] * stage.StepCount / 1e6).Sum() * config.BatchSize;
        return config with { Steps = Math.Max(MinimumSteps, (long)(seconds / secondsPerStep)) };
    }
}
