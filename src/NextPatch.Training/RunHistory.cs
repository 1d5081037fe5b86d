using NextPatch.Core;
using NextPatch.Core.Checkpoints;
using NextPatch.Core.Configuration;

namespace NextPatch.Training;

/// <summary>
/// What a transformer's run wrote down: settings, the course of its losses, its result. Reading disturbs no run, also one that is going on.
/// <code>
/// var run = RunHistory.Read("run");
/// Console.WriteLine($"{run.Result?.HeldOutLoss} nats per code; guessing costs {run.UniformLoss}");
/// </code>
/// </summary>
public sealed record RunHistory
{
    /// <summary>The run's folder as it was named.</summary>
    public required string Folder { get; init; }

    /// <summary>Model and training settings.</summary>
    public required CheckpointConfig Config { get; init; }

    /// <summary>Lines of metrics that have a loss, in order.</summary>
    public required IReadOnlyList<RunPoint> Points { get; init; }

    /// <summary>Measurements of drawn images, in order: step, and figures by name.</summary>
    public required IReadOnlyList<RunFigures> Figures { get; init; }

    /// <summary>What it gave; null where it has not finished, or finished before results were written down.</summary>
    public RunResult? Result { get; init; }

    /// <summary>Full path of its codes; null where it is not known.</summary>
    public string? Codes { get; init; }

    /// <summary>Sample grids, in order: step, and the PNG file.</summary>
    public required IReadOnlyList<(long Step, string File)> Grids { get; init; }

    /// <summary>What guessing costs: ln V, in nats per code.</summary>
    public double UniformLoss => Math.Log(Config.Model.VocabularySize);

    /// <summary>Held-out losses at p = 1 on the way and at the end, in order.</summary>
    public IEnumerable<(RunPoint At, double Loss)> HeldOut
    {
        get
        {
            var onTheWay = Points.Where(p => p.HeldOutLoss is not null).Select(p => (p, p.HeldOutLoss!.Value));
            return Result?.HeldOutLoss is { } last && Points is [.., var end]
                ? onTheWay.Where(p => p.p.Step < end.Step).Append((end, last))
                : onTheWay;
        }
    }

    /// <summary>Reads a run.</summary>
    /// <param name="folder">The run's folder.</param>
    /// <exception cref="NextPatchException">There is no run, or what it wrote is damaged.</exception>
    public static RunHistory Read(string folder)
    {
        var metrics = Path.Combine(folder, "metrics.jsonl");
        if (!File.Exists(metrics))
        {
            throw new NextPatchException(
                Directory.Exists(folder)
                    ? $"'{folder}' is no run: it has no metrics.jsonl."
                    : $"There is no run in '{folder}'; name the folder of one.");
        }

        var record = RunRecord.Read(folder);
        var config = record?.Config ?? StoredConfig(folder);
        var reader = new MetricsReader(config.Model);
        using (var stream = new FileStream(metrics, FileMode.Open, FileAccess.Read, FileShare.ReadWrite | FileShare.Delete))
        using (var lines = new StreamReader(stream))
        {
            while (lines.ReadLine() is { } line)
            {
                reader.Add(line);
            }
        }

        return new RunHistory
        {
            Folder = folder, Config = config, Points = reader.Points, Figures = reader.Figures, Result = reader.Result, Codes = record?.Codes,
            Grids = GridsOf(folder),
        };
    }

    private static CheckpointConfig StoredConfig(string folder)
    {
        var newest = Path.Combine(folder, new CheckpointFolder(folder).All() is [.., var last] ? last : "");
        return File.Exists(Path.Combine(newest, "state.json")) && !File.Exists(Path.Combine(newest, "training.json"))
            ? ConfigJson.Read(Path.Combine(newest, "config.json"), ConfigJson.Default.CheckpointConfig)
            : throw new NextPatchException(
                $"{folder} is no run of 'train': it has neither run.json nor a checkpoint of a transformer.");
    }

    private static IReadOnlyList<(long Step, string File)> GridsOf(string folder)
    {
        const string prefix = "step-";
        var grids = Path.Combine(folder, "samples");
        return !Directory.Exists(grids) ? [] :
        [
            .. Directory.GetFiles(grids, prefix + "*.png")
                .Select(file => (Step: long.TryParse(Path.GetFileNameWithoutExtension(file)[prefix.Length..], out var step) ? step : -1, File: file))
                .Where(grid => grid.Step >= 0).OrderBy(grid => grid.Step),
        ];
    }
}

/// <summary>A line of metrics.</summary>
/// <param name="Step">Optimiser steps done.</param>
/// <param name="PatchSide">Side p of the step's stage.</param>
/// <param name="Images">Images seen.</param>
/// <param name="Loss">Patch loss of the step, nats.</param>
/// <param name="HeldOutLoss">Held-out loss at p = 1, where it was measured at this step.</param>
/// <param name="LearningRate">Rate of the step.</param>
/// <param name="Seconds">Seconds in training steps so far; of runs from before they were written down, from images per second.</param>
/// <param name="Flops">FLOPs so far, as planned.</param>
public sealed record RunPoint(
    long Step, int PatchSide, long Images, double Loss, double? HeldOutLoss, double LearningRate, double Seconds, double Flops);

/// <summary>A measurement of images that a run drew.</summary>
/// <param name="Step">Optimiser steps done.</param>
/// <param name="Values">By name: fid, fd-resnet20.</param>
public sealed record RunFigures(long Step, IReadOnlyDictionary<string, double> Values);
