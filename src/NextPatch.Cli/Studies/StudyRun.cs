using System.Text.Json;
using System.Text.Json.Nodes;
using NextPatch.Core;
using NextPatch.Core.Checkpoints;
using NextPatch.Core.Configuration;
using NextPatch.Core.Files;
using NextPatch.Training.Gpt;

namespace NextPatch.Cli.Studies;

/// <summary>One run of a study: what it computes, where it lies, and what was measured of it.</summary>
/// <param name="Schedule">Name of its schedule.</param>
/// <param name="Folder">An ordinary run folder; <c>study-run.json</c> and <c>points.json</c> in it are the study's.</param>
/// <param name="Config">Model and training, seed and length among it.</param>
/// <param name="Points">Shares of the run after which it is measured.</param>
/// <param name="Metric">What drawn images are measured by, guidance among it; null: only losses.</param>
internal sealed record StudyRun(string Schedule, string Folder, CheckpointConfig Config, IReadOnlyList<double> Points, JsonObject? Metric)
{
    private const string DefinitionFile = "study-run.json";
    private const string PointsFile = "points.json";

    private static readonly JsonSerializerOptions Format = new(JsonSerializerDefaults.Web) { WriteIndented = true };

    public TrainingConfig Training => Config.Training!;

    public ulong Seed => Training.Seed;

    public long Steps => Training.Steps!.Value;

    public string Name => Path.GetFileName(Folder);

    /// <summary>Steps after which it is measured, for each of <see cref="Points"/>.</summary>
    public IReadOnlyList<long> Marks => [.. Points.Select(share => Math.Max(1, (long)Math.Round(share * Steps)))];

    /// <summary>Guidance of the images it is measured by.</summary>
    public double? Guidance => Metric?["cfgScale"]?.GetValue<double>();

    /// <summary>Planned cost; how many images there are matters only to warm-ups in epochs.</summary>
    public TrainingCost Cost => new(Config.Model, Training.CreateSchedule(1), Training);

    /// <summary>Whether all of it was measured and its last checkpoint is there. A trial that diverged is done without one.</summary>
    public bool IsDone => ReadPoints() is [.., var last] points && points.Select(p => p.Step).ToHashSet().IsSupersetOf(Marks)
        && (last.Images == 0 || LastCheckpoint == Steps);

    private long? LastCheckpoint => new CheckpointFolder(Folder).Latest is { } folder ? CheckpointFolder.StepOf(Path.GetFileName(folder)) : null;

    /// <summary>What was measured so far, in order.</summary>
    /// <exception cref="DataFormatException">The file is damaged.</exception>
    public IReadOnlyList<RunMark> ReadPoints()
    {
        var path = Path.Combine(Folder, PointsFile);
        if (!File.Exists(path))
        {
            return [];
        }

        try
        {
            return JsonSerializer.Deserialize<List<RunMark>>(TextFile.ReadUtf8(path, TextFile.MostBytesOfJson), Format) ?? [];
        }
        catch (JsonException e)
        {
            throw new DataFormatException($"{path} is damaged: {e.Message} Delete the run's folder, and it is trained again.", e);
        }
    }

    /// <summary>Adds a measurement, in place of one of the same step.</summary>
    public void Add(RunMark mark)
    {
        static double? Finite(double? value) => value is { } number && double.IsFinite(number) ? number : null; // JSON has no word for others
        mark = mark with
        {
            Loss = Finite(mark.Loss),
            EmaLoss = Finite(mark.EmaLoss),
            Figures = mark.Figures.Where(f => double.IsFinite(f.Value)).ToDictionary(),
        };
        var all = ReadPoints().Where(p => p.Step != mark.Step).Append(mark).OrderBy(p => p.Step);
        AtomicFile.WriteText(Path.Combine(Folder, PointsFile), JsonSerializer.Serialize(all, Format));
    }

    /// <summary>Writes down what the run is, or refuses where it was begun as another.</summary>
    /// <exception cref="ConfigException">It was; says in what.</exception>
    public void Claim()
    {
        RequireSame();
        Directory.CreateDirectory(Folder);
        AtomicFile.WriteText(Path.Combine(Folder, DefinitionFile), Definition().ToJsonString(Format));
    }

    /// <exception cref="ConfigException">The folder holds a run of another definition; says in what it differs.</exception>
    public void RequireSame()
    {
        var path = Path.Combine(Folder, DefinitionFile);
        if (!File.Exists(path))
        {
            return;
        }

        JsonNode? stored;
        try
        {
            stored = JsonNode.Parse(TextFile.ReadUtf8(path, TextFile.MostBytesOfJson));
        }
        catch (JsonException e)
        {
            throw new DataFormatException($"{path} is damaged: {e.Message}", e);
        }

        var differences = SettingsComparison.Differences(stored, JsonNode.Parse(Definition().ToJsonString()));
        if (differences.Count > 0)
        {
            throw new ConfigException(
            [
                $"The run {Folder} was begun by another definition of the schedule '{Schedule}', so it cannot stand for this one "
                    + "(give the schedule another name, or the study another --output):",
                .. differences.Select(d =>
                    $"{d.Name}: {d.Stored?.ToJsonString() ?? "not set"} then, {d.Given?.ToJsonString() ?? "not set"} now"),
            ]);
        }
    }

    private JsonObject Definition() => new()
    {
        ["schedule"] = Schedule,
        ["model"] = JsonSerializer.SerializeToNode(Config.Model, ConfigJson.Default.GptConfig),
        ["training"] = JsonSerializer.SerializeToNode(Training, ConfigJson.Default.TrainingConfig),
        ["tokenizer"] = Config.TokenizerHash,
        ["points"] = new JsonArray([.. Points.Select(p => JsonValue.Create(p))]),
        ["metric"] = Metric?.DeepClone(),
    };
}
