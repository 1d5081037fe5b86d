using System.Text.Json;
using NextPatch.Core.Patches;
using NextPatch.Training.Runs;

namespace NextPatch.Training.Gpt;

/// <summary>The lines of a transformer's <c>metrics.jsonl</c> and its TensorBoard events.</summary>
internal static class GptMetrics
{
    public static void Write(MetricsLog log, TrainingProgress progress)
    {
        log.WriteLine(json =>
        {
            WriteStage(json, progress.Step, progress.Stage);
            json.WriteNumber("loss", progress.Loss);
            json.WriteNumber("learningRate", progress.LearningRate);
            json.WriteNumber("gradientNorm", progress.GradientNorm);
            json.WriteNumber("images", progress.Images);
            json.WriteNumber("imagesPerSecond", Math.Round(progress.ImagesPerSecond, 2));
            json.WriteNumber("tokensPerSecond", Math.Round(progress.TokensPerSecond, 1));
            json.WriteNumber("dataWaitShare", Math.Round(progress.DataWaitShare, 4));
            if (progress.ValidationLoss is { } validation && double.IsFinite(validation))
            {
                json.WriteNumber("validationLoss", validation);
            }

            if (progress.SkippedSteps > 0)
            {
                json.WriteNumber("skippedSteps", progress.SkippedSteps);
            }
        });
        log.WriteEvents(progress.Step, Events(progress));
    }

    /// <summary>The line of a step that was not taken: JSON has no word for what its loss was.</summary>
    public static void WriteSkipped(MetricsLog log, long step, PatchStage stage, long skippedSteps) => log.WriteLine(json =>
    {
        WriteStage(json, step, stage);
        json.WriteBoolean("skipped", true);
        json.WriteNumber("skippedSteps", skippedSteps);
    });

    /// <summary>The line of a measurement of drawn images.</summary>
    public static void WriteMeasured(MetricsLog log, long step, PatchStage stage, bool isAverage, IReadOnlyDictionary<string, double> figures)
    {
        var finite = figures.Where(f => double.IsFinite(f.Value)).ToList();
        log.WriteLine(json =>
        {
            WriteStage(json, step, stage);
            json.WriteString("weights", isAverage ? "ema" : "model");
            finite.ForEach(f => json.WriteNumber(f.Key, f.Value));
        });
        log.WriteEvents(step, finite.Select(f => ($"evaluation/{f.Key}", f.Value)));
    }

    private static IEnumerable<(string Tag, double Value)> Events(TrainingProgress progress)
    {
        yield return ("train/loss", progress.Loss);
        yield return ("train/learning_rate", progress.LearningRate);
        yield return ("train/gradient_norm", progress.GradientNorm);
        yield return ("train/patch_side", progress.Stage.PatchSide);
        yield return ("speed/images_per_second", progress.ImagesPerSecond);
        if (progress.ValidationLoss is { } loss)
        {
            yield return ("validation/loss", loss);
        }
    }

    private static void WriteStage(Utf8JsonWriter json, long step, PatchStage stage)
    {
        json.WriteNumber("step", step);
        json.WriteNumber("stage", stage.Index);
        json.WriteNumber("patchSide", stage.PatchSide);
    }
}
