using System.Text.Json;
using System.Text.Json.Nodes;
using NextPatch.Core.Configuration;
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
            json.WriteNumber("seconds", Math.Round(progress.Seconds, 3));
            json.WriteNumber("flops", progress.Flops);
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

    /// <summary>What the run gave: a member of the last line, and TensorBoard's figures of the run.</summary>
    public static void WriteResult(MetricsLog log, RunResult result)
    {
        log.Extend(result.Step, "result", JsonSerializer.SerializeToNode(result, ConfigJson.Default.RunResult)!);
        (string Name, double? Value)[] figures =
        [
            ("held_out_loss", result.HeldOutLoss), ("ema_held_out_loss", result.EmaHeldOutLoss), ("uniform_loss", result.UniformLoss),
            ("planned_flops", result.PlannedFlops), ("planned_relative_cost", result.PlannedRelativeCost),
            ("measured_relative_cost", result.MeasuredRelativeCost), ("seconds", result.Seconds),
            .. (result.Figures ?? new Dictionary<string, double>()).Select(f => (f.Key, (double?)f.Value)),
        ];
        log.Events?.AddResult(result.Step, figures.Where(f => f.Value is { } value && double.IsFinite(value)).Select(f => (f.Name, f.Value!.Value)));
    }

    /// <summary>What TensorBoard shows as hyperparameters: the numbers, names and flags of model and training.</summary>
    public static IReadOnlyDictionary<string, object> ParametersOf(CheckpointConfig config)
    {
        var all = JsonSerializer.SerializeToNode(config with { ClassNames = [] }, ConfigJson.Default.CheckpointConfig)!.AsObject();
        return all.Where(part => part is { Key: "model" or "training", Value: JsonObject }).SelectMany(part => part.Value!.AsObject())
            .Where(p => p.Value is not null).ToDictionary(p => p.Key, p => p.Value!.GetValueKind() switch
            {
                JsonValueKind.Number => p.Value.GetValue<double>(),
                JsonValueKind.True or JsonValueKind.False => p.Value.GetValue<bool>(),
                JsonValueKind.String => (object)p.Value.GetValue<string>(),
                _ => p.Value.ToJsonString(),
            });
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
