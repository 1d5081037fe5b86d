using System.CommandLine;
using NextPatch.Cli.CommandLine;
using NextPatch.Cli.Rendering;
using NextPatch.Cli.Reports;
using NextPatch.Core;
using NextPatch.Core.Configuration;
using NextPatch.Core.Files;
using NextPatch.Data.Codes;
using NextPatch.Torch.Devices;
using NextPatch.Torch.Loading;
using NextPatch.Training;
using NextPatch.Training.Gpt;
using NextPatch.Training.Ranks;

namespace NextPatch.Cli.Training;

/// <summary>One <c>train</c> command: codes, settings, trainer, what is shown.</summary>
internal sealed class TrainingJob
{
    private readonly TrainOptions _options;
    private readonly ParseResult _parsed;
    private readonly ProgressReporter _progress;
    private readonly ICommunicator _ranks;

    public TrainingJob(TrainOptions options, ParseResult parsed, ProgressReporter progress, ICommunicator ranks)
        => (_options, _parsed, _progress, _ranks) = (options, parsed, progress, ranks);

    /// <summary>Trains, and leaves the report in the run's folder.</summary>
    public TrainingResult Run(CancellationToken cancellation)
    {
        NativeBackend.EnsureLoaded();
        var request = _options.Frame.Resume.RunOf(_parsed) is { } run ? ResumedRun.Read(_options, _parsed, run) : Fresh();
        var settings = MetricOptions.Read(_options, _parsed, request.Run.MetricSettings);
        using var metric = request.Run.MeasureEvery == 0 || _ranks.Rank > 0
            ? null
            : settings.Open(
                request.Codes, request.TextFeatures, request.Tokenizer, request.Training.Seed, request.Run.Device, _progress, cancellation);
        TrainingCost? cost = null;
        var result = GptTraining.Run(
            request with
            {
                Run = request.Run with
                {
                    Metric = metric,
                    MetricSettings = metric is null ? null : settings.ToRecord(),
                    OnNote = _progress.WriteLine,
                    Ranks = _ranks,
                    Bf16Gradients = _options.Ranks.Bf16Gradients(_parsed),
                },
                OnPlanned = planned => ShowPlan(request.Model, cost = planned),
            },
            new ProgressLine<TrainingProgress>(p => _progress.Report("Training", p.Step, p.TotalSteps, TrainingDisplay.Line(p))),
            cancellation);
        if (_ranks.Rank > 0)
        {
            return result;
        }

        _progress.Dispose();
        foreach (var line in TrainingDisplay.Measured(cost!, result))
        {
            _progress.WriteLine(line);
        }

        _progress.WriteLine(result.IsComplete
            ? $"Finished after {result.Step:N0} steps. Checkpoint: {result.Checkpoint}"
            : $"Stopped after step {result.Step:N0}. 'nextpatch train --resume {request.Run.Output}' continues, and so does the same command with "
                + $"--resume. Checkpoint: {result.Checkpoint ?? "none yet"}");
        WriteReport(request.Run.Output);
        return result;
    }

    private GptTrainingRequest Fresh()
    {
        Option[] needed = [_options.Codes, _options.Frame.Output];
        if (needed.Where(o => _parsed.GetResult(o) is null).ToArray() is { Length: > 0 } missing)
        {
            throw new ConfigException(
                $"{string.Join(" and ", missing.Select(o => o.Name))} must be given: the codes to train on and the folder of the run, or --resume "
                    + $"with the "
                + "folder of a run. 'nextpatch train --help' lists what there is.");
        }

        var codes = _parsed.GetRequiredValue(_options.Codes)!;
        var textFeatures = _options.ReadTextFeatures(_parsed);
        var (model, training) = Settings(codes, textFeatures);
        return new GptTrainingRequest
        {
            Codes = codes,
            TextFeatures = textFeatures,
            Model = model,
            FitsToCodes = false, // --vocabulary and its like have the last word
            Training = training,
            InitialWeights = _parsed.GetValue(_options.InitFrom),
            Tokenizer = _parsed.GetValue(_options.Tokenizer),
            Run = RunOptions(),
        };
    }

    private void WriteReport(string run)
    {
        try
        {
            _progress.WriteLine($"Report: {RunReport.Write(run)}");
        }
        catch (Exception e) when (DiskTrouble.Is(e))
        {
            _progress.WriteLine($"The report could not be written: {e.Message} 'nextpatch report {run}' makes it again.");
        }
    }

    private (GptConfig Model, TrainingConfig Training) Settings(string codes, IReadOnlyList<TextFeatureSet> textFeatures)
    {
        using var store = CodeStore.Open(codes);
        using var captions = textFeatures.Count == 0 ? null : TrainingCaptions.Open(store, textFeatures);
        var (model, training) = _options.Resolve(_parsed, m => GptTraining.Fit(GptTraining.Fit(m, store.Manifest), captions));
        training = training with { StepImplementation = Step(training) };
        var precision = _ranks.Rank > 0 ? default : Precision(model, training.StepImplementation); // a measurement may come out otherwise elsewhere
        return (model, training with { Precision = _ranks.Broadcast(precision, "the precision that rank 0 chooses", isPatient: true) });
    }

    private GptRunOptions RunOptions() => _options.Frame.Fill(_parsed, new GptRunOptions
    {
        Output = _parsed.GetRequiredValue(_options.Frame.Output),
        Recompute = _parsed.GetValue(_options.Recompute),
        Device = _parsed.GetRequiredValue(_options.Device),
        Tf32 = _parsed.GetValue(_options.Tf32),
        ValidationImages = _parsed.GetRequiredValue(_options.ValidateImages),
        SampleEvery = _parsed.GetRequiredValue(_options.SampleEvery),
        MeasureEvery = _parsed.GetRequiredValue(_options.EvaluateEvery),
        ExtendTo = _parsed.GetValue(_options.ExtendTo),
    });

    private void ShowPlan(GptConfig model, TrainingCost cost)
    {
        foreach (var line in TrainingDisplay.Plan(model, cost))
        {
            _progress.WriteLine(line);
        }
    }

    private StepImplementation Step(TrainingConfig training) => StepChoice.Choose(
        _parsed.GetRequiredValue(_options.Step), training.Grouping, _parsed.GetRequiredValue(_options.Device),
        _options.Frame.Resume.IsGiven(_parsed)
            ? PrecisionChoice.OfRun(_parsed.GetRequiredValue(_options.Frame.Output), c => Stored(c)?.StepImplementation)
            : null,
        _progress.WriteLine);

    private ComputePrecision Precision(GptConfig model, StepImplementation step) => PrecisionChoice.ForRun(
        _parsed, _options.Precision, _options.Frame, checkpoint => Stored(checkpoint)?.Precision,
        asked => DeviceOption.Of(_parsed, _options.Device) is var device && !TorchDevices.IsCpu(device) ? DeviceOption.Precision(asked, device)
            : PrecisionChoice.Choose(step == StepImplementation.Reference && asked == PrecisionChoice.Auto ? "fp32" : asked, model), _progress);

    private static TrainingConfig? Stored(string checkpoint)
        => ConfigJson.Read(Path.Combine(checkpoint, "config.json"), ConfigJson.Default.CheckpointConfig).Training;
}
