using System.Text;
using System.Text.Json;
using NextPatch.Core.Files;
using TorchSharp;
using TorchSharp.Modules;

namespace NextPatch.Training.Runs;

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

    public void Dispose() => _lines.Dispose();

    /// <summary>Adds a line.</summary>
    /// <param name="write">Writes its members, "step" among them.</param>
    public void WriteLine(Action<Utf8JsonWriter> write)
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

    /// <summary>Adds TensorBoard events.</summary>
    /// <param name="step">Steps done.</param>
    /// <param name="values">By tag: "train/loss".</param>
    public void WriteEvents(long step, params IEnumerable<(string Tag, double Value)> values)
    {
        var length = new FileInfo(_eventFile).Length;
        try
        {
            foreach (var (tag, value) in values)
            {
                _events.add_scalar(tag, (float)value, (int)step);
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
