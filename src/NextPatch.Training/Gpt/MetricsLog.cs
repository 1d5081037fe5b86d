using System.Text.Json;
using TorchSharp;
using TorchSharp.Modules;

namespace NextPatch.Training.Gpt;

/// <summary>A run's numbers as JSON lines (<c>metrics.jsonl</c>) and TensorBoard events, readable at any moment, also after a kill.</summary>
internal sealed class MetricsLog : IDisposable
{
    private readonly StreamWriter _lines;
    private readonly SummaryWriter _events;

    /// <param name="run">The run's folder.</param>
    /// <param name="startStep">Lines of later steps, written by a session that was killed, are removed.</param>
    public MetricsLog(string run, long startStep)
    {
        var path = Path.Combine(run, "metrics.jsonl");
        var kept = File.Exists(path) ? File.ReadAllLines(path).Where(line => StepOf(line) is { } step && step <= startStep).ToList() : [];
        File.WriteAllLines(path, kept);
        _lines = new StreamWriter(path, append: true) { AutoFlush = true };
        _events = torch.utils.tensorboard.SummaryWriter(Path.Combine(run, "tensorboard"));
    }

    public void Write(TrainingProgress progress)
    {
        using var buffer = new MemoryStream();
        using (var json = new Utf8JsonWriter(buffer))
        {
            json.WriteStartObject();
            json.WriteNumber("step", progress.Step);
            json.WriteNumber("stage", progress.Stage.Index);
            json.WriteNumber("patchSide", progress.Stage.PatchSide);
            json.WriteNumber("loss", progress.Loss);
            json.WriteNumber("learningRate", progress.LearningRate);
            json.WriteNumber("gradientNorm", progress.GradientNorm);
            json.WriteNumber("images", progress.Images);
            json.WriteNumber("imagesPerSecond", Math.Round(progress.ImagesPerSecond, 2));
            json.WriteNumber("tokensPerSecond", Math.Round(progress.TokensPerSecond, 1));
            json.WriteNumber("dataWaitShare", Math.Round(progress.DataWaitShare, 4));
            if (progress.ValidationLoss is { } validation)
            {
                json.WriteNumber("validationLoss", validation);
            }

            json.WriteEndObject();
        }

        _lines.WriteLine(System.Text.Encoding.UTF8.GetString(buffer.ToArray()));
        var step = (int)progress.Step;
        _events.add_scalar("train/loss", (float)progress.Loss, step);
        _events.add_scalar("train/learning_rate", (float)progress.LearningRate, step);
        _events.add_scalar("train/gradient_norm", (float)progress.GradientNorm, step);
        _events.add_scalar("train/patch_side", progress.Stage.PatchSide, step);
        _events.add_scalar("speed/images_per_second", (float)progress.ImagesPerSecond, step);
        if (progress.ValidationLoss is { } loss)
        {
            _events.add_scalar("validation/loss", (float)loss, step);
        }
    }

    public void Dispose() => _lines.Dispose();

    /// <summary>The step of a line, or null for one that a kill cut short.</summary>
    private static long? StepOf(string line)
    {
        try
        {
            using var json = JsonDocument.Parse(line);
            return json.RootElement.GetProperty("step").GetInt64();
        }
        catch (JsonException)
        {
            return null;
        }
    }
}
