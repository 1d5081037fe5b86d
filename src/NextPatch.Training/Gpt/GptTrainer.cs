using System.Diagnostics;
using NextPatch.Core;
using NextPatch.Core.Checkpoints;
using NextPatch.Core.Configuration;
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
public sealed class GptTrainer : IDisposable
{
    private readonly CheckpointConfig _config;
    private readonly TrainingConfig _training;
    private readonly CodeStore _store;
    private readonly GptRunOptions _options;
    private readonly BatchSource _batches;
    private readonly PatchSchedule _schedule;
    private readonly LearningRateSchedule _learningRate;
    private readonly StageTimes _times;
    private readonly SkippedSteps _skipped;
    private readonly RunLock _lock;
    private readonly GptStep _trainer;
    private readonly GptEvaluation _evaluation;
    private long _step;

    /// <param name="config">Model and training settings; <see cref="CheckpointConfig.Training"/> must be set.</param>
    /// <param name="store">Codes; stays the caller's.</param>
    /// <param name="options">Folders, intervals, callbacks.</param>
    /// <param name="initialWeights">Fills the model at the start of a fresh run; null = drawn from the seed.</param>
    /// <exception cref="ConfigException">Settings cannot work, do not fit the codes, or differ from those of the run to resume.</exception>
    /// <exception cref="NextPatchException">The folder cannot be written, another run holds it, or none of its checkpoints is whole.</exception>
    public GptTrainer(CheckpointConfig config, CodeStore store, GptRunOptions options, Action<GptModel>? initialWeights = null)
    {
        _config = config;
        var model = config.Model.Validated();
        _training = (config.Training ?? throw new ArgumentException("The configuration has no training settings.", nameof(config))).Validated(model);
        _store = store;
        _options = options;
        RunChecks.RequireFit(store, model);
        _batches = new BatchSource(store, model, _training.Seed);
        _schedule = _training.CreateSchedule(_batches.TrainingCount);
        _learningRate = _training.CreateLearningRate(_schedule, _batches.TrainingCount);
        Cost = new TrainingCost(model, _schedule, _training.BatchSize);
        _times = new StageTimes(Cost);
        _skipped = new SkippedSteps(options.StopAfterSkips, options.OnNote);
        Checkpoints = new CheckpointFolder(options.Output);
        options.RequireWritable();
        _lock = RunLock.Take(options.Output);
        try
        {
            var start = ResumePoint.Find(Checkpoints, options, RequireSame);
            Model = new GptModel(model);
            if (start is null)
            {
                (initialWeights ?? Initialize)(Model);
            }

            _trainer = new GptStep(Model, _training, _batches, options.Recompute);
            _evaluation = new GptEvaluation(Model, _trainer, _batches, _training.MicroBatchFor(1));
            if (start is not null)
            {
                Continue(start);
            }
        }
        catch
        {
            Dispose();
            throw;
        }
    }

    public GptModel Model { get; }

    public CheckpointFolder Checkpoints { get; }

    /// <summary>Planned cost of the whole run.</summary>
    public TrainingCost Cost { get; }

    /// <summary>Trains to the end or until cancelled; either way it writes a checkpoint. After the end it validates, unless cancelled: then the losses are null.</summary>
    /// <exception cref="NextPatchException">
    /// Too many steps in a row had a loss or gradient that is not finite, or a checkpoint could not be written and <see cref="RunOptions.OnFullDisk"/>
    /// says stop; the last checkpoint stays.
    /// </exception>
    public TrainingResult Run(CancellationToken cancellation = default)
    {
        using var log = new MetricsLog(_options.Output, _step, _options.OnNote);
        var saver = new CheckpointSaver(_options, Checkpoints, Save, _step);
        var speed = new SpeedWindow();
        while (_step < _schedule.TotalSteps && !cancellation.IsCancellationRequested)
        {
            var stage = _schedule.At(_step);
            var result = TrainStep(stage, speed);
            _step++;
            if (result.IsTaken)
            {
                Report(log, speed, stage, result);
            }
            else
            {
                GptMetrics.WriteSkipped(log, _step, stage, _skipped.Total);
            }

            saver.AfterStep(_step, !result.IsTaken);
            if (IsDue(_options.SampleEvery))
            {
                Sample();
            }

            if (_options.Metric is { } metric && IsDue(_options.MeasureEvery) && _evaluation.Measure(metric, cancellation) is { } figures)
            {
                GptMetrics.WriteMeasured(log, _step, stage, _trainer.Optimizer.HasAverage, figures);
            }
        }

        saver.AtEnd(_step, _skipped.InARow > 0, cancellation);
        var isComplete = _step >= _schedule.TotalSteps;
        return new TrainingResult(_step, isComplete, Checkpoints.Latest, _times.Seconds, StageImages(),
            isComplete ? _evaluation.Loss(cancellation: cancellation) : null, isComplete ? _evaluation.AverageLoss(cancellation) : null) { SkippedSteps = _skipped.Total };
    }

    public void Dispose()
    {
        _trainer?.Dispose(); // null, as the model, when the constructor failed early
        Model?.Dispose();
        _lock.Dispose();
    }

    private void Initialize(GptModel model) => GptInitializer.Initialize(model, new CounterRandom(_training.Seed, RandomStream.Initialization).Bits(0, 0));

    private void RequireSame(string checkpoint)
        => RunComparison.RequireSame(ConfigJson.Read(Path.Combine(checkpoint, "config.json"), ConfigJson.Default.CheckpointConfig), _config, ConfigJson.Default.CheckpointConfig, checkpoint);

    private void Continue(string checkpoint)
    {
        var state = GptCheckpoint.Load(checkpoint, Model, _trainer.Optimizer);
        _step = state.Step;
        _skipped.Restore(state.SkippedSteps, state.SkippedInARow);
        _times.Restore(state.StageSeconds);
        _trainer.RefreshCopies();
        _options.OnNote?.Invoke($"Resumed from {checkpoint} at step {_step} of {_schedule.TotalSteps}.");
    }

    private void Save(int keep)
    {
        var state = new RunState
        {
            Step = _step, Images = _step * _training.BatchSize, StageSeconds = _times.Seconds, SkippedSteps = _skipped.Total, SkippedInARow = _skipped.InARow,
        };
        Checkpoints.Save(_step, folder => GptCheckpoint.Write(folder, _config, state, Model, _trainer.Optimizer), keep);
    }

    private bool IsDue(long every) => every > 0 && _step % every == 0;

    /// <summary>Takes the step after <see cref="_step"/>, times it and counts it where it had to be skipped.</summary>
    private GptStepResult TrainStep(PatchStage stage, SpeedWindow speed)
    {
        var started = Stopwatch.GetTimestamp();
        var rate = _learningRate.At(_step);
        var result = _trainer.Run(_step, stage.PatchSide, rate);
        var seconds = Stopwatch.GetElapsedTime(started).TotalSeconds;
        _times.Add(stage, seconds);
        speed.Add(_training.BatchSize, (long)_training.BatchSize * Cost.Stages[stage.Index].TokensPerImage, seconds, _trainer.TakeDataSeconds());
        if (result.IsTaken)
        {
            _skipped.StepTaken();
        }
        else
        {
            _skipped.Skip(
                $"The loss of step {_step} is {result.Loss} (gradient norm {result.Norm})",
                () => NonFiniteDump.Write(_options.Output, _step, result.Loss, result.Norm, rate, stage, _batches, _store, _training.BatchSize),
                () => $"The last checkpoint from before is {Checkpoints.Latest ?? "none (the run had not reached its first)"}. Lower the learning rate ({_training.LearningRate}) or raise the warm-up, and continue from a checkpoint with --init-from.");
        }

        return result;
    }

    /// <summary>Validates and writes a line of metrics when they are due.</summary>
    private void Report(MetricsLog log, SpeedWindow speed, PatchStage stage, GptStepResult result)
    {
        var isLast = _step == _schedule.TotalSteps;
        var validation = IsDue(_options.ValidateEvery) && !isLast ? _evaluation.Loss(_options.ValidationImages) : null;
        if (_step != 1 && _step % _options.LogEvery != 0 && !isLast && validation is null)
        {
            return;
        }

        var progress = new TrainingProgress(_step, _schedule.TotalSteps, stage, result.Loss, _learningRate.At(_step - 1), result.Norm, _step * _training.BatchSize,
            speed.ImagesPerSecond, speed.TokensPerSecond, _times.SecondsLeft(_step), validation) { SkippedSteps = _skipped.Total, DataWaitShare = speed.DataWaitShare };
        speed.Reset();
        GptMetrics.Write(log, progress);
        _options.OnProgress?.Invoke(progress);
    }

    private void Sample()
    {
        try
        {
            _evaluation.Lend(model => _options.OnSample?.Invoke(_step, model));
        }
        catch (Exception e) when (DiskTrouble.Is(e))
        {
            _options.OnNote?.Invoke($"The sample grid of step {_step} could not be written: {e.Message}");
        }
    }

    private IReadOnlyList<long> StageImages()
        => [.. _schedule.Stages.Select(s => Math.Clamp(_step - s.Start, 0, s.StepCount) * _training.BatchSize)];
}
