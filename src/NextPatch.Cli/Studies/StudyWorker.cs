using System.Text.Json.Nodes;
using NextPatch.Cli.Rendering;
using NextPatch.Cli.Reports;
using NextPatch.Cli.Training;
using NextPatch.Core;
using NextPatch.Core.Files;
using NextPatch.Sampling;
using NextPatch.Training;
using NextPatch.Training.Gpt;

namespace NextPatch.Cli.Studies;

/// <summary>Does the work of a study in this process, a piece at a time.</summary>
internal sealed class StudyWorker : IDisposable
{
    /// <summary>Picture of a finished run: the same seeds and classes in each.</summary>
    public const string SamplesFile = "samples.png";

    private const int CheckpointsPerRun = 20;
    private const int LinesPerRun = 200;
    private const int SamplesPerClass = 4;
    private const ulong SamplesSeed = 7;

    private readonly StudyPlan _plan;
    private readonly string _codes;
    private readonly string? _tokenizer;
    private readonly ProgressReporter _progress;
    private readonly bool _showsMeasuring;
    private StudyMetric? _metric;

    /// <param name="plan">The study.</param>
    /// <param name="codes">Folder of the codes.</param>
    /// <param name="tokenizer">Of their tokenizer; null where no images are drawn.</param>
    /// <param name="progress">Is told what happens.</param>
    /// <param name="showsMeasuring">Whether how far a measurement is, is shown too.</param>
    public StudyWorker(StudyPlan plan, string codes, string? tokenizer, ProgressReporter progress, bool showsMeasuring)
        => (_plan, _codes, _tokenizer, _progress, _showsMeasuring) = (plan, codes, tokenizer, progress, showsMeasuring);

    /// <summary>Trains and measures a run from where it stands.</summary>
    /// <param name="run">Fresh, or stopped at any step.</param>
    /// <param name="isTrial">Whether it may diverge: then its learning rate is not chosen.</param>
    /// <param name="onProgress">Receives FLOPs done, and a line for a person.</param>
    /// <param name="cancellation">Stops it after the current step; it goes on later.</param>
    /// <returns>Whether it is done.</returns>
    public bool Run(StudyRun run, bool isTrial, Action<double, string> onProgress, CancellationToken cancellation)
    {
        run.Claim();
        WaitForFolder(run.Folder, cancellation);
        var cost = run.Cost;
        var recorded = run.ReadPoints().Select(p => p.Step).ToHashSet();
        var request = new GptTrainingRequest
        {
            Codes = _codes, Tokenizer = _tokenizer, Model = run.Config.Model, FitsToCodes = false, Training = run.Training,
            Run = new GptRunOptions
            {
                Output = run.Folder, Resume = true, KeepLast = 1, CheckpointEvery = Math.Max(1, run.Steps / CheckpointsPerRun),
                LogEvery = Math.Max(1, run.Steps / LinesPerRun), ValidationImages = _plan.File.HeldOut,
                Metric = run.Metric is null ? null : Metric(cancellation).For(run.Guidance),
                Marks = run.Marks.Where(m => !recorded.Contains(m)).ToHashSet(), OnMark = run.Add, OnNote = _progress.WriteLine,
            },
        };
        try
        {
            GptTraining.Run(request, new ProgressLine<TrainingProgress>(p => onProgress(FlopsOf(p), TrainingDisplay.Line(p))), cancellation);
        }
        catch (NextPatchException e) when (isTrial && e.IsDivergence)
        {
            _progress.WriteLine($"{run.Name}: {e.Message}");
            run.Add(new RunMark(run.Steps, 0, 0, 0, 0, null, null, new Dictionary<string, double>())); // no loss: it is not chosen
            return true;
        }

        if (!run.IsDone || cancellation.IsCancellationRequested)
        {
            return false;
        }

        if (run.Metric is not null)
        {
            DrawSamples(run, cancellation);
        }

        return true;

        double FlopsOf(TrainingProgress p) => cost.TotalFlops * p.Step / p.TotalSteps;
    }

    /// <summary>Chooses the guidance of a schedule with the weights of a run that is not reported.</summary>
    public void ChooseGuidance(StudySchedule schedule, CancellationToken cancellation)
    {
        var (tuning, tried) = (_plan.File.Tuning!, new JsonArray());
        using var model = SampleModel.Load(_plan.GuidanceRun(schedule)!.Folder, _tokenizer);
        foreach (var scale in tuning.CfgScale)
        {
            var distance = Metric(cancellation).Distance(model.Engine, scale, tuning, cancellation);
            tried.Add(new JsonObject { ["cfgScale"] = scale, ["distance"] = distance });
        }

        AtomicFile.WriteText(_plan.GuidanceFile(schedule), new JsonObject { ["share"] = tuning.CfgShare, ["tried"] = tried }.ToJsonString());
    }

    public void Dispose() => _metric?.Dispose();

    private StudyMetric Metric(CancellationToken cancellation)
        => _metric ??= StudyMetric.Open(_plan.File.Metric!, _codes, _tokenizer!, _showsMeasuring ? _progress.ForEvaluation() : null, cancellation);

    /// <summary>A run that was killed with its study may still be writing its last checkpoint.</summary>
    private static void WaitForFolder(string folder, CancellationToken cancellation)
    {
        for (var tries = 0; tries < 60 && !cancellation.IsCancellationRequested; tries++)
        {
            try
            {
                FolderLock.Take(folder, ".lock").Dispose();
                return;
            }
            catch (NextPatchException)
            {
                cancellation.WaitHandle.WaitOne(TimeSpan.FromSeconds(0.5));
            }
        }
    }

    private void DrawSamples(StudyRun run, CancellationToken cancellation)
    {
        var path = Path.Combine(run.Folder, SamplesFile);
        var samples = new ComparedSamples(SamplesPerClass, SamplesSeed, _progress.For("Drawing", 1), _progress.WriteLine)
        {
            Guidance = run.Guidance,
        };

        if (!File.Exists(path) && samples.Draw([RunHistory.Read(run.Folder)], cancellation) is [{ } png])
        {
            AtomicFile.Write(path, stream => stream.Write(png));
        }
    }
}
