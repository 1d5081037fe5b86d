using System.Text;
using System.Text.Json;
using NextPatch.Core.Patches;
using TorchSharp;
using TorchSharp.Modules;

namespace NextPatch.Training.Gpt;

/// <summary>
/// A run's numbers as JSON lines (<c>metrics.jsonl</c>) and TensorBoard events, readable at any moment, also after a kill. A full disk
/// does not end the run: lines wait in memory until it takes them, events are left out.
/// </summary>
internal sealed class MetricsLog : IDisposable
{
    private readonly AppendedLines _lines;
    private readonly SummaryWriter _events;
    private readonly string _eventFile;
    private readonly Action<string>? _note;
    private bool _isFailing;

    /// <param name="run">The run's folder.</param>
    /// <param name="startStep">Lines of later steps, written by a session that was killed, are removed.</param>
    /// <param name="note">Receives a sentence when the disk begins or ceases to refuse lines.</param>
    public MetricsLog(string run, long startStep, Action<string>? note)
    {
        _note = note;
        _lines = new AppendedLines(Path.Combine(run, "metrics.jsonl"), line => StepOf(line) is { } step && step <= startStep);
        var events = Path.Combine(run, "tensorboard");
        _events = torch.utils.tensorboard.SummaryWriter(events);
        _eventFile = Directory.GetFiles(events).MaxBy(File.GetCreationTimeUtc)!;
    }

    public void Write(TrainingProgress progress)
    {
        WriteLine(json =>
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
        WriteEvents(progress);
    }

    /// <summary>The line of a step that was not taken: JSON has no word for what its loss was.</summary>
    public void WriteSkipped(long step, PatchStage stage, long skippedSteps) => WriteLine(json =>
    {
        WriteStage(json, step, stage);
        json.WriteBoolean("skipped", true);
        json.WriteNumber("skippedSteps", skippedSteps);
    });

    public void Dispose() => _lines.Dispose();

    private static void WriteStage(Utf8JsonWriter json, long step, PatchStage stage)
    {
        json.WriteNumber("step", step);
        json.WriteNumber("stage", stage.Index);
        json.WriteNumber("patchSide", stage.PatchSide);
    }

    private void WriteLine(Action<Utf8JsonWriter> write)
    {
        using var buffer = new MemoryStream();
        using (var json = new Utf8JsonWriter(buffer))
        {
            json.WriteStartObject();
            write(json);
            json.WriteEndObject();
        }

        try
        {
            _lines.Write(Encoding.UTF8.GetString(buffer.ToArray()));
        }
        catch (Exception e) when (DiskTrouble.Is(e))
        {
            if (!_isFailing)
            {
                _note?.Invoke($"metrics.jsonl cannot be written: {e.Message} Its lines wait in memory.");
            }

            _isFailing = true;
            return;
        }

        if (_isFailing)
        {
            _note?.Invoke("metrics.jsonl is written again; no line is missing.");
        }

        _isFailing = false;
    }

    private void WriteEvents(TrainingProgress progress)
    {
        var step = (int)progress.Step;
        var length = new FileInfo(_eventFile).Length;
        try
        {
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
        catch (Exception e) when (DiskTrouble.Is(e))
        {
            // Readers stop at a torn record.
            using var file = new FileStream(_eventFile, FileMode.Open, FileAccess.Write, FileShare.ReadWrite);
            file.SetLength(length);
        }
    }

    /// <summary>The step of a line, or null for one that a kill cut short or that is none of ours.</summary>
    private static long? StepOf(string line)
    {
        try
        {
            using var json = JsonDocument.Parse(line);
            return json.RootElement.GetProperty("step").GetInt64();
        }
        catch (Exception e) when (e is JsonException or KeyNotFoundException or InvalidOperationException or FormatException)
        {
            return null;
        }
    }
}
