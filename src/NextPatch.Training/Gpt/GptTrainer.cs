using NextPatch.Core;
using NextPatch.Core.Configuration;
using NextPatch.Core.Files;
using NextPatch.Core.Patches;
using NextPatch.Core.Sampling;
using NextPatch.Data.Codes;
using NextPatch.Torch.Gpt;
using NextPatch.Training.Runs;

namespace NextPatch.Training.Gpt;

/// <summary>
/// Trains a transformer coarse to fine. Patch stage, learning rate, data order, label dropout and dropout seeds are pure functions
/// of the step, so a resumed run ends with the same bytes as one that was never interrupted.
/// </summary>
internal sealed class GptTrainer : TrainingRun
{
    private readonly CheckpointConfig _config;
    private readonly TrainingConfig _training;
    private readonly CodeStore _store;
    private readonly GptRunOptions _options;
    private readonly BatchSource _batches;
    private readonly PatchSchedule _schedule;
    private readonly LearningRateSchedule _learningRate;
    private readonly StageTimes _times;
    private readonly GptStep _trainer;
    private readonly GptEvaluation _evaluation;
    private GptStepResult _last;
    private double? _validation;

    /// <param name="config">Model and training settings; <see cref="CheckpointConfig.Training"/> must be set.</param>
    /// <param name="store">Codes; stays the caller's.</param>
    /// <param name="options">Folders, intervals, callbacks.</param>
    /// <param name="initialWeights">Fills the model at the start of a fresh run; null = drawn from the seed.</param>
    /// <exception cref="ConfigException">Settings cannot work, do not fit the codes, or differ from those of the run to resume.</exception>
    /// <exception cref="NextPatchException">The folder cannot be written, another run holds it, or none of its checkpoints is whole.</exception>
    public GptTrainer(CheckpointConfig config, CodeStore store, GptRunOptions options, Action<GptModel>? initialWeights = null)
        : base(options)
    {
        _config = config;
        var model = config.Model.Validated();
        _training = (config.Training ?? throw new ArgumentException("The configuration has no training settings.", nameof(config))).Validated(model);
        _store = store;
        _options = options;
        RunChecks.RequireFit(store, model);
        RunChecks.RequireStep(_training, options.Recompute);
        _batches = new BatchSource(store, model, _training.Seed);
        _schedule = _training.CreateSchedule(_batches.TrainingCount);
        _learningRate = _training.CreateLearningRate(_schedule, _batches.TrainingCount);
        Cost = new TrainingCost(model, _schedule, _training.BatchSize);
        _times = new StageTimes(Cost);
        try
        {
            var checkpoint = TakeFolder(folder => GptCheckpoint.RequireSame(folder, config));
            Model = new GptModel(model);
            if (checkpoint is null)
            {
                (initialWeights ?? Initialize)(Model);
            }

            _trainer = new GptStep(Model, _training, _batches, options.Recompute);
            _evaluation = new GptEvaluation(Model, _trainer, _batches, _training.MicroBatchFor(1));
            if (checkpoint is not null)
            {
                var state = GptCheckpoint.Load(checkpoint, Model, _trainer.Optimizer);
                _times.Restore(state.StageSeconds);
                _trainer.RefreshCopies();
                Continue(checkpoint, state.Step, state.SkippedSteps, state.SkippedInARow);
            }
        }
        catch
        {
            Dispose();
            throw;
        }
    }

    public GptModel Model { get; }

    /// <summary>Planned cost of the whole run.</summary>
    public TrainingCost Cost { get; }

    private PatchStage NextStage => _schedule.At(Step);

    private PatchStage LastStage => _schedule.At(Step - 1);

    private protected override long TotalSteps => _schedule.TotalSteps;

    private protected override double LearningRate => _training.LearningRate;

    /// <summary>
    /// Trains to the end or until cancelled; either way it writes a checkpoint. After the end it validates, unless cancelled: then the losses are
    /// null.
    /// </summary>
    /// <exception cref="NextPatchException">
    /// Too many steps in a row had a loss or gradient that is not finite, or a checkpoint could not be written and
    /// <see cref="RunOptions.OnFullDisk"/>
    /// says stop; the last checkpoint stays.
    /// </exception>
    public TrainingResult Run(CancellationToken cancellation = default)
    {
        var isComplete = TakeSteps(cancellation);
        var loss = isComplete ? _evaluation.Loss(cancellation: cancellation) : null;
        var averageLoss = isComplete ? _evaluation.AverageLoss(cancellation) : null;
        return new TrainingResult(Step, isComplete, Checkpoints.Latest, _times.Seconds, StageImages(), loss, averageLoss)
        {
            SkippedSteps = Skipped.Total,
        };
    }

    public override void Dispose()
    {
        _trainer?.Dispose(); // null, as the model, when the constructor failed early
        Model?.Dispose();
        base.Dispose();
    }

    private protected override string? TakeStep()
    {
        _last = _trainer.Run(Step, NextStage.PatchSide, _learningRate.At(Step));
        return _last.IsTaken ? null : $"{_last.Loss} (gradient norm {_last.Norm})";
    }

    private protected override void AddSeconds(double seconds, SpeedWindow speed)
    {
        _times.Add(NextStage, seconds);
        speed.Add(_training.BatchSize, (long)_training.BatchSize * Cost.Stages[NextStage.Index].TokensPerImage, seconds, _trainer.TakeDataSeconds());
    }

    private protected override string DumpBatch() => NonFiniteDump.Write(
        _options.Output, Step, _last.Loss, _last.Norm, _learningRate.At(Step), NextStage, _batches, _store, _training.BatchSize);

    private protected override bool Validate() => (_validation = _evaluation.Loss(_options.ValidationImages)) is not null;

    private protected override void Report(MetricsLog log, SpeedWindow speed)
    {
        var progress = new TrainingProgress(
            Step, TotalSteps, LastStage, _last.Loss, _learningRate.At(Step - 1), _last.Norm, Step * _training.BatchSize,
            speed.ImagesPerSecond, speed.TokensPerSecond, _times.SecondsLeft(Step), _validation)
        {
            SkippedSteps = Skipped.Total, DataWaitShare = speed.DataWaitShare,
        };
        _validation = null;
        GptMetrics.Write(log, progress);
        _options.OnProgress?.Invoke(progress);
    }

    private protected override void ReportSkipped(MetricsLog log) => GptMetrics.WriteSkipped(log, Step, LastStage, Skipped.Total);

    private protected override void Save(int keep)
    {
        var state = new RunState
        {
            Step = Step, Images = Step * _training.BatchSize, StageSeconds = _times.Seconds,
            SkippedSteps = Skipped.Total, SkippedInARow = Skipped.InARow,
        };
        Checkpoints.Save(Step, folder => GptCheckpoint.Write(folder, _config, state, Model, _trainer.Optimizer), keep);
    }

    private protected override void AfterStep(MetricsLog log, CancellationToken cancellation)
    {
        if (IsDue(_options.SampleEvery))
        {
            Sample();
        }

        if (_options.Metric is { } metric && IsDue(_options.MeasureEvery) && _evaluation.Measure(metric, cancellation) is { } figures)
        {
            GptMetrics.WriteMeasured(log, Step, LastStage, _trainer.Optimizer.HasAverage, figures);
        }
    }

    private void Initialize(GptModel model)
        => GptInitializer.Initialize(model, new CounterRandom(_training.Seed, RandomStream.Initialization).Bits(0, 0));

    private void Sample()
    {
        try
        {
            _evaluation.Lend(model => _options.OnSample?.Invoke(Step, model));
        }
        catch (Exception e) when (DiskTrouble.Is(e))
        {
            _options.OnNote?.Invoke($"The sample grid of step {Step} could not be written: {e.Message}");
        }
    }

    private IReadOnlyList<long> StageImages()
        => [.. _schedule.Stages.Select(s => Math.Clamp(Step - s.Start, 0, s.StepCount) * _training.BatchSize)];
}
