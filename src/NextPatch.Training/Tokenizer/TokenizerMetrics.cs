using System.Globalization;
using System.Text.Json.Nodes;
using NextPatch.Training.Runs;

namespace NextPatch.Training.Tokenizer;

/// <summary>The lines of a tokenizer's <c>metrics.jsonl</c> and its TensorBoard events.</summary>
internal static class TokenizerMetrics
{
    public static void Write(MetricsLog log, TokenizerRunProgress progress)
    {
        log.WriteLine(json =>
        {
            json.WriteNumber("step", progress.Step);
            foreach (var (name, value) in Values(progress))
            {
                json.WriteNumber(name, value);
            }

            json.WriteNumber("images", progress.Images);
            json.WriteNumber("imagesPerSecond", Math.Round(progress.ImagesPerSecond, 2));
            json.WriteNumber("dataWaitShare", Math.Round(progress.DataWaitShare, 4));
            if (progress.SkippedSteps > 0)
            {
                json.WriteNumber("skippedSteps", progress.SkippedSteps);
            }

            if (progress.HeldOut is { } heldOut)
            {
                json.WriteStartObject("heldOut");
                foreach (var (name, value) in Values(heldOut))
                {
                    json.WriteNumber(name, value);
                }

                json.WriteEndObject();
            }
        });
        log.WriteEvents(progress.Step, Values(progress).Select(v => ($"train/{v.Name}", v.Value))
            .Append(("speed/imagesPerSecond", progress.ImagesPerSecond))
            .Concat(progress.HeldOut is { } judged ? Values(judged).Select(v => ($"heldOut/{v.Name}", v.Value)) : []));
    }

    /// <summary>Adds to the line of the last step what the finished run gives.</summary>
    public static void WriteResult(MetricsLog log, long step, TokenizerValidation? heldOut)
    {
        if (heldOut is not null)
        {
            log.Extend(step, "heldOut", new JsonObject(Values(heldOut).Select(v => KeyValuePair.Create(v.Name, (JsonNode?)v.Value))));
            log.Events?.AddResult(step, Values(heldOut).Select(v => ($"held_out_{v.Name}", v.Value)));
        }
    }

    /// <summary>The line of a step that was not taken: JSON has no word for what its loss was.</summary>
    public static void WriteSkipped(MetricsLog log, long step, long skippedSteps) => log.WriteLine(json =>
    {
        json.WriteNumber("step", step);
        json.WriteBoolean("skipped", true);
        json.WriteNumber("skippedSteps", skippedSteps);
    });

    /// <summary>What TensorBoard shows as hyperparameters.</summary>
    public static IReadOnlyDictionary<string, object> ParametersOf(TokenizerRunConfig config) => new Dictionary<string, object>
    {
        ["imageSide"] = config.Tokenizer.ImageSide, ["codebookSize"] = config.Tokenizer.CodebookSize, ["codeWidth"] = config.Tokenizer.CodeWidth,
        ["architecture"] = config.Tokenizer.Architecture.ToString(), ["batchSize"] = config.BatchSize, ["steps"] = config.Steps,
        ["learningRate"] = config.Objective.LearningRate, ["emaDecay"] = config.Objective.EmaDecay,
        ["discriminator"] = config.Discriminator.ToString(), ["precision"] = config.Precision.ToString(),
        ["seed"] = config.Seed.ToString(CultureInfo.InvariantCulture),
    };

    private static IEnumerable<(string Name, double Value)> Values(TokenizerValidation heldOut)
        => [("psnr", heldOut.Psnr), ("codebookUsage", heldOut.CodebookUsage), ("perplexity", heldOut.Perplexity)];

    private static IEnumerable<(string Name, double Value)> Values(TokenizerRunProgress progress)
    {
        var last = progress.Last;
        (string Name, double? Value)[] all =
        [
            ("loss", progress.Loss), ("psnr", progress.Psnr), ("perceptual", progress.Perceptual), ("codebookUsage", progress.CodebookUsage),
            ("perplexity", progress.Perplexity),
            ("revived", progress.Revived), ("codebookLoss", last.CodebookLoss), ("commitmentLoss", last.CommitmentLoss),
            ("entropyLoss", last.EntropyLoss),
            ("adversarial", last.Adversarial), ("adaptiveWeight", last.AdaptiveWeight), ("discriminatorLoss", last.DiscriminatorLoss),
            ("discriminatorNorm", last.DiscriminatorNorm),
            ("learningRate", progress.LearningRate), ("gradientNorm", last.Norm),
        ];
        return all.Where(v => v.Value is { } value && double.IsFinite(value)).Select(v => (v.Name, v.Value!.Value));
    }
}
