using System.Text.Json;
using NextPatch.Core.Configuration;

namespace NextPatch.Training;

/// <summary>Reads <c>metrics.jsonl</c> line by line; what a kill tore, and what other programs added, is passed over.</summary>
internal sealed class MetricsReader(GptConfig model)
{
    private static readonly string[] PlaceNames = ["step", "stage", "patchSide", "seconds", "images"];

    private readonly List<RunPoint> _points = [];
    private readonly List<RunFigures> _figures = [];

    public IReadOnlyList<RunPoint> Points => _points;

    public IReadOnlyList<RunFigures> Figures => _figures;

    /// <summary>The newest result, where it is that of the last step.</summary>
    public RunResult? Result { get; private set; }

    public void Add(string line)
    {
        try
        {
            using var json = JsonDocument.Parse(line);
            Add(json.RootElement);
        }
        catch (Exception e) when (e is JsonException or InvalidOperationException or FormatException or KeyNotFoundException)
        {
        }
    }

    private void Add(JsonElement line)
    {
        var step = line.GetProperty("step").GetInt64();
        Result = null;
        if (line.TryGetProperty("loss", out var loss))
        {
            AddPoint(line, step, loss.GetDouble());
        }
        else if (line.TryGetProperty("weights", out _))
        {
            _figures.Add(new RunFigures(step, line.EnumerateObject()
                .Where(p => p.Value.ValueKind == JsonValueKind.Number && !PlaceNames.Contains(p.Name))
                .ToDictionary(p => p.Name, p => p.Value.GetDouble())));
        }

        if (line.TryGetProperty("result", out var result))
        {
            Result = result.Deserialize(ConfigJson.Default.RunResult);
        }
    }

    private void AddPoint(JsonElement line, long step, double loss)
    {
        var before = _points.Count > 0 ? _points[^1] : null;
        var (side, images) = (line.GetProperty("patchSide").GetInt32(), line.GetProperty("images").GetInt64());
        var more = images - (before?.Images ?? 0);
        double? Number(string name) => line.TryGetProperty(name, out var value) ? value.GetDouble() : null;
        var seconds = Number("seconds") ?? (before?.Seconds ?? 0) + (Number("imagesPerSecond") is > 0 and var speed ? more / speed : 0);

        // Of runs from before they were written down; a stage that began between the two lines is counted from the line before on.
        var flops = Number("flops") ?? (before?.Flops ?? 0) + (more * TrainingCost.TrainingFlopsPerImage(model, Math.Max(side, 1)));
        _points.Add(new RunPoint(step, side, images, loss, Number("validationLoss"), Number("learningRate") ?? 0, seconds, flops));
    }
}
