using System.Text.Json;
using System.Text.Json.Nodes;
using System.Text.Json.Serialization;
using NextPatch.Core;
using NextPatch.Core.Files;

namespace NextPatch.Cli.Studies;

/// <summary>What a study compares, as its file says it (docs/guide/study.md).</summary>
internal sealed record StudyFile
{
    private static readonly JsonSerializerOptions Format = new()
    {
        PropertyNamingPolicy = JsonNamingPolicy.KebabCaseLower,
        UnmappedMemberHandling = JsonUnmappedMemberHandling.Disallow,
        AllowDuplicateProperties = false,
        RespectNullableAnnotations = true,
        ReadCommentHandling = JsonCommentHandling.Skip,
        AllowTrailingCommas = true,
        Converters = { new JsonStringEnumConverter(JsonNamingPolicy.KebabCaseLower, allowIntegerValues: false) },
    };

    private const long MostImages = 1_000_000_000_000; // times the largest batch still in 64 bits

    /// <summary>For people; as the next five, which say what a recipe needs, costs and gives.</summary>
    public string? Description { get; init; }

    public JsonNode? Status { get; init; }

    public JsonNode? Needs { get; init; }

    public JsonNode? Commands { get; init; }

    public JsonNode? Cost { get; init; }

    public JsonNode? Expected { get; init; }

    /// <summary>Folder of the codes; the command line may name another.</summary>
    public string? Codes { get; init; }

    /// <summary>Their tokenizer; null: where the codes say it lies.</summary>
    public string? Tokenizer { get; init; }

    /// <summary>Options of <c>train</c> that all schedules share, by their names without dashes.</summary>
    public JsonObject Train { get; init; } = [];

    /// <summary>Images that a schedule sees unless it says otherwise; this or <see cref="Epochs"/>.</summary>
    public long? Images { get; init; }

    /// <summary>The same in passes over the training images.</summary>
    public double? Epochs { get; init; }

    /// <summary>Shares of each run after which it is measured.</summary>
    public IReadOnlyList<double> Points { get; init; } = [0.25, 0.5, 0.75, 1];

    /// <summary>Held-out images of each of these measurements; 0 = all.</summary>
    public int HeldOut { get; init; } = 2000;

    /// <summary>A run of each schedule for every one of them.</summary>
    public required IReadOnlyList<ulong> Seeds { get; init; }

    /// <summary>What drawn images are measured against; null: only losses are measured.</summary>
    public StudyMetricSettings? Metric { get; init; }

    /// <summary>How learning rate and guidance are chosen; null: as they are given.</summary>
    public StudyTuning? Tuning { get; init; }

    /// <summary>What is compared; differences are to the first.</summary>
    public required IReadOnlyList<StudySchedule> Schedules { get; init; }

    /// <exception cref="ConfigException">The file cannot be read, or says what cannot work; every problem is listed.</exception>
    public static StudyFile Read(string path)
    {
        try
        {
            var file = JsonSerializer.Deserialize<StudyFile>(TextFile.ReadUtf8(path, TextFile.MostBytesOfJson), Format)
                ?? throw new ConfigException($"The study '{path}' holds 'null'.");
            return file.Problems().Select(p => $"The study '{path}': {p}.").ToList() is { Count: > 0 } problems
                ? throw new ConfigException(problems)
                : file;
        }
        catch (JsonException e)
        {
            throw new ConfigException($"The study '{path}' is none: {e.Message} What it may say is in docs/guide/study.md.", e);
        }
    }

    private IEnumerable<string> Problems()
    {
        if (Images is null == Epochs is null || Images is < 1 or > MostImages || Epochs is <= 0 or > MostImages)
        {
            yield return "it needs either 'images' or 'epochs', above 0 and at most a million millions: how much each run sees";
        }

        if (HeldOut < 0)
        {
            yield return $"'held-out' {HeldOut} must be at least 0 (0 = all held-out images)";
        }

        if (Points is null or [] || Points.Any(p => p is not (> 0 and <= 1)) || Points[^1] != 1 || !Points.SequenceEqual(Points.Order().Distinct()))
        {
            yield return "'points' must be shares of a run above 0, rising, and end with 1";
        }

        if (Seeds is null or [] || Seeds.Distinct().Count() != Seeds.Count)
        {
            yield return "'seeds' must be a list of different seeds";
        }

        if (Tuning is { } tuning)
        {
            foreach (var problem in tuning.Problems(this))
            {
                yield return problem;
            }
        }

        if (Metric is { } metric && (metric.Count < 2 || metric.CfgScale is < 0))
        {
            yield return "'count' of the metric must be at least 2, and its 'cfg-scale' at least 0";
        }

        if (Schedules is null or [] || Schedules.Any(s => s?.Name is null))
        {
            yield return "'schedules' must be a list of objects with a 'name'";
            yield break;
        }

        foreach (var schedule in Schedules)
        {
            if (PathComponent.ProblemOf(schedule.Name) is { } problem)
            {
                yield return $"the name of the schedule '{schedule.Name}' becomes a folder's, but {problem}";
            }

            if (Schedules.Count(s => s.Name == schedule.Name) > 1)
            {
                yield return $"the schedule '{schedule.Name}' is there twice";
            }

            if (schedule.Equal == StudyBudget.Images ? schedule.To is not null : !Schedules.Any(s => s.Name == schedule.To && s.Name != schedule.Name
                && s.Equal == StudyBudget.Images))
            {
                yield return $"the schedule '{schedule.Name}' must name in 'to' another one of equal images where it says 'equal' flops or time, and "
                    + "nothing where it does not";
            }
        }
    }
}

/// <summary>A named way to train.</summary>
internal sealed record StudySchedule
{
    public required string Name { get; init; }

    /// <summary>Its options of <c>train</c>, on top of the study's.</summary>
    public JsonObject Train { get; init; } = [];

    /// <summary>What it has as much of as the study or <see cref="To"/>.</summary>
    public StudyBudget Equal { get; init; }

    /// <summary>The schedule whose FLOPs or time it gets.</summary>
    public string? To { get; init; }
}

/// <summary>What a schedule has as much of as another.</summary>
internal enum StudyBudget
{
    /// <summary>Images of the study.</summary>
    Images,

    /// <summary>FLOPs of another schedule, as planned.</summary>
    Flops,

    /// <summary>Seconds of the processor that another schedule took with the same seed.</summary>
    Time,
}

/// <summary>What drawn images are measured against.</summary>
internal sealed record StudyMetricSettings
{
    /// <summary>Images or statistics; null: what the tokenizer makes of the held-out codes.</summary>
    public string? Reference { get; init; }

    public string? ReferencePart { get; init; }

    public string? Network { get; init; }

    public string? Weights { get; init; }

    public string Metrics { get; init; } = "fd,precision,recall";

    /// <summary>Images that are drawn at each point.</summary>
    public int Count { get; init; } = 2000;

    /// <summary>Their seed, the same for every run.</summary>
    public ulong Seed { get; init; } = 1;

    /// <summary>Guidance where it is not chosen; null: as <c>sample</c>.</summary>
    public double? CfgScale { get; init; }
}

/// <summary>How learning rate and guidance of each schedule are chosen: with a seed that no reported run has.</summary>
internal sealed record StudyTuning
{
    /// <summary>Seed of the trials' weights and order, and of the images that guidance is chosen on.</summary>
    public ulong Seed { get; init; }

    /// <summary>Learning rates that are tried; the lowest held-out loss wins. Empty: each schedule has its own.</summary>
    public IReadOnlyList<double> Lr { get; init; } = [];

    /// <summary>Length of a trial, of the schedule's own.</summary>
    public double Share { get; init; } = 1;

    /// <summary>Guidance scales that are tried; the lowest distance wins. Empty: the metric's.</summary>
    public IReadOnlyList<double> CfgScale { get; init; } = [];

    /// <summary>Length of the run of the taken rate that they are tried with, of the schedule's own; null: its trial.</summary>
    public double? CfgShare { get; init; }

    /// <summary>Images that are drawn for each of them.</summary>
    public int Count { get; init; } = 1000;

    internal IEnumerable<string> Problems(StudyFile study)
    {
        if (study.Seeds?.Contains(Seed) == true)
        {
            yield return $"'seed' {Seed} of 'tuning' is one of the reported ones; what is chosen on a seed must not be reported with it";
        }

        if (study.Metric is { } metric && metric.Seed == Seed)
        {
            yield return $"'tuning' and 'metric' have the same seed {Seed}; guidance must not be chosen on the images that are reported";
        }

        if (CfgScale is not [] && study.Metric is null)
        {
            yield return "'cfg-scale' of 'tuning' needs a 'metric'";
        }

        if (CfgShare is not (null or (> 0 and <= 1)) || (CfgShare is not null && CfgScale.Count < 2))
        {
            yield return "'cfg-share' of 'tuning' must be above 0 and at most 1, and needs two scales of 'cfg-scale' or more";
        }

        if (Share is not (> 0 and <= 1) || Count < 2 || Lr.Any(r => !(r > 0)) || CfgScale.Any(s => !(s >= 0)))
        {
            yield return "'tuning' needs a share above 0 and of at most 1, rates above 0, scales of at least 0, and a count of at least 2";
        }
    }
}
