using System.CommandLine;
using NextPatch.Cli.Rendering;
using NextPatch.Core;
using NextPatch.Core.Configuration;
using NextPatch.Data.Codes;
using NextPatch.Evaluation;
using NextPatch.Evaluation.Protocol;
using NextPatch.Torch.Loading;
using NextPatch.Training;
using NextPatch.Training.Gpt;

namespace NextPatch.Cli.Training;

/// <summary>One <c>train</c> command: codes, settings, trainer, what is shown.</summary>
internal sealed class TrainingJob
{
    private readonly TrainOptions _options;
    private readonly ParseResult _parsed;
    private readonly ProgressReporter _progress;

    public TrainingJob(TrainOptions options, ParseResult parsed, ProgressReporter progress)
        => (_options, _parsed, _progress) = (options, parsed, progress);

    /// <returns>False when it was stopped before its last step.</returns>
    public bool Run(CancellationToken cancellation)
    {
        NativeBackend.EnsureLoaded();
        var codes = _parsed.GetRequiredValue(_options.Codes);
        var (model, training) = Settings(codes);
        using var metric = OpenMetric(codes, training.Seed, cancellation);
        TrainingCost? cost = null;
        var result = GptTraining.Run(
            new GptTrainingRequest
            {
                Codes = codes,
                Model = model,
                FitsToCodes = false, // --vocabulary and its like have the last word
                Training = training,
                InitialWeights = _parsed.GetValue(_options.InitFrom),
                Tokenizer = _parsed.GetValue(_options.Tokenizer),
                Run = RunOptions() with { Metric = metric },
                OnPlanned = planned => ShowPlan(model, cost = planned),
            },
            new ProgressLine<TrainingProgress>(p => _progress.Report("Training", p.Step, p.TotalSteps, TrainingDisplay.Line(p))),
            cancellation);
        _progress.Dispose();
        foreach (var line in TrainingDisplay.Measured(cost!, result))
        {
            _progress.WriteLine(line);
        }

        _progress.WriteLine(result.IsComplete
            ? $"Finished after {result.Step:N0} steps. Checkpoint: {result.Checkpoint}"
            : $"Stopped after step {result.Step:N0}. Continue with the same command and --resume. Checkpoint: {result.Checkpoint ?? "none yet"}");
        return result.IsComplete;
    }

    private (GptConfig Model, TrainingConfig Training) Settings(string codes)
    {
        using var store = CodeStore.Open(codes);
        var (model, training) = _options.Resolve(_parsed, m => GptTraining.Fit(m, store.Manifest));
        training = training with { StepImplementation = Step(training) };
        return (model, training with { Precision = Precision(model, training.StepImplementation) });
    }

    private GptRunOptions RunOptions() => _options.Frame.Fill(_parsed, new GptRunOptions
    {
        Output = _parsed.GetRequiredValue(_options.Frame.Output),
        Recompute = _parsed.GetValue(_options.Recompute),
        ValidationImages = _parsed.GetRequiredValue(_options.ValidateImages),
        SampleEvery = _parsed.GetRequiredValue(_options.SampleEvery),
        MeasureEvery = _parsed.GetRequiredValue(_options.EvaluateEvery),
        OnNote = _progress.WriteLine,
    });

    private void ShowPlan(GptConfig model, TrainingCost cost)
    {
        foreach (var line in TrainingDisplay.Plan(model, cost))
        {
            _progress.WriteLine(line);
        }
    }

    /// <summary>What --evaluate-every asks for.</summary>
    private TrainingMetric? OpenMetric(string codes, ulong seed, CancellationToken cancellation)
    {
        if (_parsed.GetRequiredValue(_options.EvaluateEvery) == 0)
        {
            return null;
        }

        var tokenizer = GptTraining.FindTokenizer(_parsed.GetValue(_options.Tokenizer), codes);
        var count = _parsed.GetRequiredValue(_options.EvaluateCount);
        if (count < 2 || _parsed.GetValue(_options.Measure.Reference) is not { } reference)
        {
            throw new ConfigException(count < 2
                ? $"--evaluate-count {count} must be at least 2, and says something from some thousands on."
                : "--evaluate-every needs something to measure against: name it with --reference, and the feature network with --weights.");
        }

        var options = _options.Measure.Read(_parsed) with { Drawing = new ImageRequest { Count = count, Seed = seed }, OnNote = _progress.WriteLine };
        return ImageEvaluator.OpenMetric(reference, tokenizer, options, _progress.ForEvaluation(), cancellation);
    }

    private StepImplementation Step(TrainingConfig training) => StepChoice.Choose(
        _parsed.GetRequiredValue(_options.Step), training.Grouping,
        _parsed.GetValue(_options.Frame.Resume)
            ? PrecisionChoice.OfRun(_parsed.GetRequiredValue(_options.Frame.Output), c => Stored(c)?.StepImplementation)
            : null,
        _progress);

    private ComputePrecision Precision(GptConfig model, StepImplementation step) => PrecisionChoice.ForRun(
        _parsed, _options.Precision, _options.Frame, checkpoint => Stored(checkpoint)?.Precision,
        asked => PrecisionChoice.Choose(step == StepImplementation.Reference && asked == PrecisionChoice.Auto ? "fp32" : asked, model), _progress);

    private static TrainingConfig? Stored(string checkpoint)
        => ConfigJson.Read(Path.Combine(checkpoint, "config.json"), ConfigJson.Default.CheckpointConfig).Training;
}
