using System.Text;
using System.Text.Json;
using System.Text.Json.Nodes;
using NextPatch.Core.Files;

namespace NextPatch.Training.Runs;

/// <summary>
/// A run's numbers as JSON lines (<c>metrics.jsonl</c>) and TensorBoard events, readable at any moment, also after a kill. A full disk
/// does not end the run: lines wait in memory until it takes them, events are left out.
/// </summary>
internal sealed class MetricsLog : IDisposable
{
    private readonly AppendedLines? _lines;
    private readonly EventFile? _events;
    private readonly Action<string>? _note;
    private bool _isFailing;

    private MetricsLog()
    {
    }

    /// <param name="run">The run's folder.</param>
    /// <param name="startStep">Lines of later steps, written by a session that was killed, are removed.</param>
    /// <param name="note">Receives a sentence when the disk begins or ceases to refuse lines.</param>
    public MetricsLog(string run, long startStep, Action<string>? note)
    {
        _note = note;
        _lines = new AppendedLines(Path.Combine(run, "metrics.jsonl"), line => StepOf(line) is { } step && step <= startStep);
        try
        {
            _events = new EventFile(Path.Combine(run, "tensorboard"), startStep);
        }
        catch
        {
            _lines.Dispose();
            throw;
        }
    }

    /// <summary>One that writes nothing, for ranks beside the first.</summary>
    public static MetricsLog Silent { get; } = new();

    /// <summary>TensorBoard events that are no lines of metrics; null where nothing is written.</summary>
    public EventFile? Events => _events;

    public void Dispose()
    {
        _lines?.Dispose();
        _events?.Dispose();
    }

    /// <summary>Adds a line.</summary>
    /// <param name="write">Writes its members, "step" among them.</param>
    public void WriteLine(Action<Utf8JsonWriter> write)
    {
        if (_lines is null)
        {
            return;
        }

        using var buffer = new MemoryStream();
        using (var json = new Utf8JsonWriter(buffer))
        {
            json.WriteStartObject();
            write(json);
            json.WriteEndObject();
        }

        Try(() => _lines.Write(Encoding.UTF8.GetString(buffer.ToArray())));
    }

    private void Try(Action write)
    {
        try
        {
            write();
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
    public void WriteEvents(long step, params IEnumerable<(string Tag, double Value)> values) => _events?.AddScalars(step, values);

    /// <summary>Writes the last line again with a member more, where it is the line of this step; else a line of its own.</summary>
    /// <param name="step">Steps done.</param>
    /// <param name="name">The member; one of this name is replaced.</param>
    /// <param name="value">What it holds.</param>
    public void Extend(long step, string name, JsonNode value)
    {
        if (_lines is null)
        {
            return;
        }

        var isSame = _lines.Last is { } last && StepOf(last) == step;
        var line = isSame ? JsonNode.Parse(_lines.Last!)!.AsObject() : new JsonObject { ["step"] = step };
        line[name] = value;
        Try(() => (isSame ? (Action<string>)_lines.ReplaceLast : _lines.Write)(line.ToJsonString()));
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
