using NextPatch.Cli.Rendering;
using NextPatch.Core.Configuration;
using NextPatch.Training.Gpt;

namespace NextPatch.Cli.Training;

/// <summary>What a person reads before, during and after a training run.</summary>
internal static class TrainingDisplay
{
    /// <summary>The progress line: stage, loss, rate, speed, time left.</summary>
    public static string Line(TrainingProgress p)
    {
        var validation = p.ValidationLoss is { } loss ? $"  held-out {loss:F3}" : "";
        var skipped = p.SkippedSteps > 0 ? $"  {p.SkippedSteps} skipped" : "";
        var wait = p.DataWaitShare >= 0.01 ? $"  {p.DataWaitShare:P0} waiting for data" : "";
        return $"p={p.Stage.PatchSide}  loss {p.Loss:F3}{validation}{skipped}  lr {p.LearningRate:0.0e+0}  {p.ImagesPerSecond:F0} img/s  "
            + $"{Quantity.Decimal(p.TokensPerSecond)} tok/s{wait}  {Quantity.Duration(p.SecondsLeft)} left";
    }

    /// <summary>Planned cost, per stage and in total.</summary>
    public static IEnumerable<string> Plan(GptConfig model, TrainingCost cost)
    {
        yield return $"Model: {model.ParameterCount:N0} parameters, {model.LayerCount} layers of {model.Width}, grid "
            + $"{model.GridSide}x{model.GridSide}, {model.VocabularySize} codes, "
            + (model.Text is { } text ? $"captions of up to {text.TokenCount} tokens of {text.FeatureWidth}." : $"{model.ClassCount} classes.");
        foreach (var stage in cost.Stages)
        {
            yield return $"  p={stage.Stage.PatchSide}: {stage.Stage.StepCount:N0} steps, {stage.Images:N0} images of {stage.TokensPerImage} "
                + $"tokens, {Quantity.Decimal(stage.FlopsPerImage, "FLOP")}/image ({stage.RelativeFlopsPerImage:F3} of p=1)";
        }

        yield return $"Guessing among {model.VocabularySize:N0} codes costs ln {model.VocabularySize} = {Math.Log(model.VocabularySize):F3} nats "
            + $"per code: "
            + "what losses are to be compared with.";
        yield return $"Planned cost: {Quantity.Decimal(cost.TotalFlops, "FLOP")}, {cost.RelativeCost:F3} of next-token training on as many images "
            + $"({cost.RelativeFlops:F3} with attention).";
    }

    /// <summary>Measured cost, per stage and in total.</summary>
    public static IEnumerable<string> Measured(TrainingCost cost, TrainingResult result)
    {
        foreach (var (stage, i) in cost.Stages.Select((s, i) => (s, i)).Where(p => result.StageImages[p.i] > 0))
        {
            yield return $"  p={stage.Stage.PatchSide}: {Quantity.Duration(result.StageSeconds[i])}, "
                + $"{result.StageSeconds[i] * 1000 / result.StageImages[i]:F2} ms/image, "
                + $"{Quantity.Decimal(stage.FlopsPerImage * result.StageImages[i] / result.StageSeconds[i], "FLOP")}/s";
        }

        if (result.IsComplete)
        {
            yield return $"Measured cost: {Quantity.Duration(result.StageSeconds.Sum())} of training, {result.MeasuredRelativeCost:F3} of "
                + $"next-token training on as many images at the speed of the last stage.";
        }

        if (result.SkippedSteps > 0)
        {
            yield return $"Skipped: {result.SkippedSteps:N0} steps whose loss or gradient was not finite; the batches are in nan-step-* of the run.";
        }

        if (result.ValidationLoss is { } loss)
        {
            yield return $"Held-out loss at p=1: {loss:F4} nats per "
                + $"code{(result.AverageValidationLoss is { } average ? $", {average:F4} with the EMA weights" : "")}; guessing costs "
                + $"{result.Outcome?.UniformLoss:F4}.";
            if (loss > result.Outcome?.UniformLoss)
            {
                yield return "Warning: guessing would cost less. The model has learnt its training images by heart: take fewer steps, more images "
                    + "(--crops flip or ten when encoding), a smaller preset, or more dropout.";
            }
        }
    }
}
