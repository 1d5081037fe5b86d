using System.Globalization;
using System.Text.Json;
using System.Text.Json.Nodes;
using NextPatch.Core;
using NextPatch.Core.Configuration;
using NextPatch.Core.Files;
using NextPatch.Data.Codes;

namespace NextPatch.Cli.Studies;

/// <summary>
/// What a study's file means for its codes: the runs, and what each one needs to be known before. All of it is computed from the file and from what
/// lies in the output folder, so a study that was stopped goes on where it was.
/// </summary>
internal sealed class StudyPlan
{
    private readonly string _output;
    private readonly CodeManifest _codes;
    private readonly Dictionary<string, (CheckpointConfig Config, bool HasRate)> _schedules;

    /// <param name="file">The study.</param>
    /// <param name="codes">Manifest of its codes.</param>
    /// <param name="output">Folder of the study.</param>
    /// <exception cref="ConfigException">Settings cannot work; names the schedule.</exception>
    public StudyPlan(StudyFile file, CodeManifest codes, string output)
    {
        (File, _codes, _output) = (file, codes, output);
        var options = new StudyOptions();
        _schedules = file.Schedules.ToDictionary(s => s.Name, s =>
        {
            var (model, training) = options.Resolve(file.Train, s.Train, $"The schedule '{s.Name}'", codes, out var hasRate);
            if (training.Stages?.Any(stage => stage.Steps is not null) == true)
            {
                throw new ConfigException(
                    $"The schedule '{s.Name}' gives the length of stages in steps, but the study says how long a run is; write shares, as in "
                        + "\"stages\": \"2:50%,1:50%\".");
            }

            return (new CheckpointConfig { Model = model, Training = training, ClassNames = codes.ClassNames, TokenizerHash = codes.TokenizerHash },
                hasRate);
        });
    }

    public StudyFile File { get; }

    /// <summary>Images of the training part.</summary>
    public long TrainingImages => _codes.Count - _codes.HeldOutCount;

    /// <summary>Images that a schedule sees where it does not say otherwise.</summary>
    public long Images => File.Images ?? (long)Math.Round(File.Epochs!.Value * TrainingImages);

    public CheckpointConfig ConfigOf(StudySchedule schedule) => _schedules[schedule.Name].Config;

    /// <summary>The learning rates that are tried for a schedule; one where it is settled.</summary>
    public IReadOnlyList<double> RatesOf(StudySchedule schedule)
        => File.Tuning is { Lr: { Count: > 0 } rates } && !_schedules[schedule.Name].HasRate ? rates
            : [ConfigOf(schedule).Training!.LearningRate];

    /// <summary>Whether anything of a schedule is chosen by trials.</summary>
    public bool IsTuned(StudySchedule schedule) => RatesOf(schedule).Count > 1 || File.Tuning?.CfgScale.Count > 1;

    /// <summary>The run that tries a learning rate; its seed is no reported one.</summary>
    public StudyRun Trial(StudySchedule schedule, double rate)
        => TuningRun(schedule, string.Create(CultureInfo.InvariantCulture, $"{schedule.Name}-lr{rate:R}"), rate, File.Tuning!.Share);

    /// <summary>The run that tries guidance: the trial of the taken rate, or a longer one; null while the rate is not known.</summary>
    public StudyRun? GuidanceRun(StudySchedule schedule) => Rate(schedule) is not { } rate ? null
        : File.Tuning!.CfgShare is not { } share ? Trial(schedule, rate.Rate)
        : TuningRun(schedule, string.Create(CultureInfo.InvariantCulture, $"{schedule.Name}-share{share:R}"), rate.Rate, share);

    /// <summary>The learning rate of a schedule, and what trials gave; null while a trial is not done.</summary>
    public (double Rate, IReadOnlyList<(double Rate, double Loss)> Tried)? Rate(StudySchedule schedule)
    {
        var rates = RatesOf(schedule);
        if (!IsTuned(schedule))
        {
            return (rates[0], []);
        }

        var trials = rates.Select(r => (Rate: r, Run: Trial(schedule, r))).ToList();
        if (!trials.TrueForAll(t => t.Run.IsDone))
        {
            return null;
        }

        // A loss that is not finite, or that was never measured, wins nothing.
        var tried = trials.ConvertAll(
            t => (t.Rate, Loss: t.Run.ReadPoints()[^1] is var p && (p.EmaLoss ?? p.Loss) is { } loss ? loss : double.MaxValue));
        return (tried.MinBy(t => t.Loss).Rate, tried);
    }

    /// <summary>The file that says which guidance a schedule drew best with.</summary>
    public string GuidanceFile(StudySchedule schedule) => Path.Combine(_output, "tuning", schedule.Name + "-guidance.json");

    /// <summary>The guidance of a schedule, null = as <c>sample</c>, and what scales gave; null while it is not chosen.</summary>
    public (double? Scale, IReadOnlyList<(double Scale, double Distance)> Tried)? Guidance(StudySchedule schedule)
    {
        var scales = File.Tuning?.CfgScale ?? [];
        if (scales.Count <= 1)
        {
            return (scales.Count == 1 ? scales[0] : File.Metric?.CfgScale, []);
        }

        var path = GuidanceFile(schedule);
        if (!System.IO.File.Exists(path))
        {
            return null;
        }

        try
        {
            var node = JsonNode.Parse(TextFile.ReadUtf8(path, TextFile.MostBytesOfJson))!;
            if (node["share"]?.GetValue<double>() != File.Tuning!.CfgShare)
            {
                return null;
            }

            var stored = node["tried"]!.AsArray()
                .Select(t => (Scale: t!["cfgScale"]!.GetValue<double>(), Distance: t["distance"]!.GetValue<double>())).ToList();
            return stored.Select(t => t.Scale).SequenceEqual(scales) ? (stored.MinBy(t => t.Distance).Scale, stored) : null;
        }
        catch (Exception e) when (e is JsonException or InvalidOperationException or NullReferenceException)
        {
            throw new DataFormatException($"{path} is damaged; delete it, and guidance is chosen again. ({e.Message})", e);
        }
    }

    /// <summary>A reported run; null while something that it needs is not known.</summary>
    public StudyRun? Reported(StudySchedule schedule, ulong seed)
    {
        if (Rate(schedule) is not { } rate || Guidance(schedule) is not { } guidance || Steps(schedule, seed) is not { } steps)
        {
            return null;
        }

        return Run(schedule, FolderOf(schedule, seed), steps, rate.Rate, seed, File.Points, guidance.Scale);
    }

    /// <summary>Where a reported run lies.</summary>
    public string FolderOf(StudySchedule schedule, ulong seed)
        => Path.Combine(_output, "runs", string.Create(CultureInfo.InvariantCulture, $"{schedule.Name}-{seed}"));

    /// <summary>Runs that must be done before a run of a schedule can begin.</summary>
    public IEnumerable<(StudySchedule Schedule, ulong Seed)> Needs(StudySchedule schedule, ulong seed)
        => schedule.Equal == StudyBudget.Time ? [(Other(schedule), seed), (PlainOf(schedule), seed)] : [];

    /// <summary>Steps of a schedule as far as they follow from the file: of one that is equal in time those of equal FLOPs.</summary>
    public long PlannedSteps(StudySchedule schedule)
    {
        if (schedule.Equal == StudyBudget.Images)
        {
            return Most(schedule, cost => cost.Stages.Sum(s => s.Images) <= Images);
        }

        var target = CostOf(Other(schedule), PlannedSteps(Other(schedule))).TotalFlops;
        return Most(schedule, cost => cost.TotalFlops <= target * (1 + 1e-9));
    }

    /// <summary>FLOPs of a schedule of so many steps.</summary>
    public TrainingCost CostOf(StudySchedule schedule, long steps)
    {
        var config = ConfigOf(schedule);
        var training = config.Training! with { Steps = steps };
        return new TrainingCost(config.Model, training.CreateSchedule(TrainingImages), training);
    }

    /// <summary>Null where the times that it follows from are not measured yet.</summary>
    private long? Steps(StudySchedule schedule, ulong seed)
    {
        if (schedule.Equal != StudyBudget.Time)
        {
            return PlannedSteps(schedule);
        }

        if (Reported(Other(schedule), seed) is not { IsDone: true } other || Reported(PlainOf(schedule), seed) is not { IsDone: true } plain)
        {
            return null;
        }

        var secondsPerStep = plain.ReadPoints()[^1].CpuSeconds / plain.Steps;
        return Math.Max(1, (long)(other.ReadPoints()[^1].CpuSeconds / secondsPerStep));
    }

    private StudySchedule Other(StudySchedule schedule) => File.Schedules.Single(s => s.Name == schedule.To);

    /// <summary>The schedule of equal images with the same options: its run says how fast a step is.</summary>
    /// <exception cref="ConfigException">There is none.</exception>
    private StudySchedule PlainOf(StudySchedule schedule)
        => File.Schedules.FirstOrDefault(s => s.Equal == StudyBudget.Images && ConfigOf(s) is var config && ConfigOf(schedule) is var own
            && JsonNode.DeepEquals(ToNode(config), ToNode(own)))
            ?? throw new ConfigException($"The schedule '{schedule.Name}' is equal in time, and so needs one with the same options at equal images: "
                + "its run says how long a step takes.");

    private static JsonNode? ToNode(CheckpointConfig config) => JsonSerializer.SerializeToNode(config, ConfigJson.Default.CheckpointConfig);

    private StudyRun TuningRun(StudySchedule schedule, string name, double rate, double share)
    {
        var steps = (long)Math.Max(1, PlannedSteps(schedule) * share);
        return Run(schedule, Path.Combine(_output, "tuning", name), steps, rate, File.Tuning!.Seed, [1], null);
    }

    private StudyRun Run(
        StudySchedule schedule, string folder, long steps, double rate, ulong seed, IReadOnlyList<double> points, double? guidance)
    {
        var config = ConfigOf(schedule);
        var own = config.Training!;
        var training = own with
        {
            Steps = steps,
            Seed = seed,
            LearningRate = rate,

            // The end of the decay keeps its ratio to the peak: one number is tried, not two.
            EndLearningRate = own.EndLearningRate / own.LearningRate * rate,
        };
        var metric = File.Metric is { } m && folder.StartsWith(Path.Combine(_output, "runs"), StringComparison.Ordinal)
            ? Describe(m, guidance)
            : null;
        return new StudyRun(schedule.Name, folder, config with { Training = training.Validated(config.Model) }, points, metric);
    }

    private static JsonObject Describe(StudyMetricSettings metric, double? guidance) => new()
    {
        ["reference"] = metric.Reference is null ? "held-out codes" : Path.GetFileName(metric.Reference),
        ["referencePart"] = metric.ReferencePart,
        ["network"] = metric.Network,
        ["weights"] = metric.Weights is null ? null : Path.GetFileName(metric.Weights),
        ["metrics"] = metric.Metrics,
        ["count"] = metric.Count,
        ["seed"] = metric.Seed,
        ["cfgScale"] = guidance,
    };

    /// <summary>The most steps of a schedule whose cost is within a budget; at least one.</summary>
    private long Most(StudySchedule schedule, Func<TrainingCost, bool> fits)
    {
        bool Fits(long steps)
        {
            try
            {
                return fits(CostOf(schedule, steps));
            }
            catch (ConfigException)
            {
                return true; // too short for its stages
            }
        }

        var (low, high) = (1L, 2L);
        while (Fits(high))
        {
            (low, high) = (high, checked(high * 2));
        }

        while (high - low > 1)
        {
            var middle = low + ((high - low) / 2);
            (low, high) = Fits(middle) ? (middle, high) : (low, middle);
        }

        return low;
    }
}
