using System.Diagnostics;
using NextPatch.Core;
using NextPatch.Core.Configuration;
using NextPatch.Core.Generation;
using NextPatch.Core.Patches;
using NextPatch.Core.Sampling;
using NextPatch.Data.Codes;
using NextPatch.Torch.Generation;
using NextPatch.Torch.Gpt;
using NextPatch.Torch.Loading;
using NextPatch.Torch.Patches;
using NextPatch.Training.Optimization;
using NextPatch.Training.Runs;
using static TorchSharp.torch;

namespace NextPatch.Training.Gpt;

/// <summary>
/// Trains a transformer coarse to fine. Patch stage, learning rate, data order, label dropout and dropout seeds are pure functions
/// of the step, so a resumed run ends with the same bytes as one that was never interrupted.
/// </summary>
public sealed class GptTrainer : IDisposable
{
    private readonly CheckpointConfig _config;
    private readonly GptConfig _modelConfig;
    private readonly TrainingConfig _training;
    private readonly CodeStore _store;
    private readonly RunOptions _options;
    private readonly BatchSource _batches;
    private readonly PatchSchedule _schedule;
    private readonly LearningRateSchedule _learningRate;
    private readonly TrainingCost _cost;
    private readonly AdamW _optimizer;
    private readonly TrainingPass _pass;
    private readonly BatchReader _reader;
    private readonly CounterRandom _dropoutSeeds;
    private readonly double[] _stageSeconds;
    private readonly SkippedSteps _skipped;
    private readonly RunLock _lock;
    private long _step;

    /// <param name="config">Model and training settings; <see cref="CheckpointConfig.Training"/> must be set.</param>
    /// <param name="store">Codes; stays the caller's.</param>
    /// <param name="options">Folders, intervals, callbacks.</param>
    /// <param name="initialWeights">Fills the model at the start of a fresh run; null = drawn from the seed.</param>
    /// <exception cref="ConfigException">Settings cannot work, do not fit the codes, or differ from those of the run to resume.</exception>
    /// <exception cref="NextPatchException">The folder cannot be written, another run holds it, or none of its checkpoints is whole.</exception>
    public GptTrainer(CheckpointConfig config, CodeStore store, RunOptions options, Action<GptModel>? initialWeights = null)
    {
        _config = config;
        _modelConfig = config.Model.Validated();
        _training = (config.Training ?? throw new ArgumentException("The configuration has no training settings.", nameof(config))).Validated(_modelConfig);
        _store = store;
        _options = options;
        RunChecks.RequireFit(store, _modelConfig);
        _batches = new BatchSource(store, _modelConfig, _training.Seed);
        _schedule = _training.CreateSchedule(_batches.TrainingCount);
        _learningRate = _training.CreateLearningRate(_schedule, _batches.TrainingCount);
        _cost = new TrainingCost(_modelConfig, _schedule, _training.BatchSize);
        _dropoutSeeds = new CounterRandom(_training.Seed, RandomStream.Dropout);
        _stageSeconds = new double[_schedule.Stages.Count];
        _skipped = new SkippedSteps(options.StopAfterSkips, options.OnNote);
        Checkpoints = new CheckpointFolder(options.Output);
        options.RequireWritable();
        _lock = RunLock.Take(options.Output);
        try
        {
            var start = ResumePoint.Find(Checkpoints, options, RequireSame);
            Model = new GptModel(_modelConfig);
            if (start is null)
            {
                (initialWeights ?? Initialize)(Model);
            }

            _pass = new TrainingPass(Model, _training.Precision, options.Recompute);
            _reader = new BatchReader(_batches, _modelConfig.CodesPerImage);
            _optimizer = new AdamW(Model.named_parameters().Select(p => (p.name, p.parameter)), _training, _pass.Copies);
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
    public TrainingCost Cost => _cost;

    /// <summary>Trains to the end or until cancelled; either way it writes a checkpoint. After the end it validates, unless cancelled: then the losses are null.</summary>
    /// <exception cref="NextPatchException">
    /// Too many steps in a row had a loss or gradient that is not finite, or a checkpoint could not be written and <see cref="RunFrame.OnFullDisk"/>
    /// says stop; the last checkpoint stays.
    /// </exception>
    public TrainingResult Run(CancellationToken cancellation = default)
    {
        using var log = new MetricsLog(_options.Output, _step, _options.OnNote);
        var saver = new CheckpointSaver(_options, Checkpoints, Save, _step);
        var window = new SpeedWindow();
        while (_step < _schedule.TotalSteps && !cancellation.IsCancellationRequested)
        {
            var stage = _schedule.At(_step);
            var watch = Stopwatch.StartNew();
            var (loss, norm) = TrainStep(stage);
            _stageSeconds[stage.Index] += watch.Elapsed.TotalSeconds;
            window.Add(_training.BatchSize, (long)_training.BatchSize * _cost.Stages[stage.Index].TokensPerImage, watch.Elapsed.TotalSeconds, _reader.TakeSeconds());
            _step++;
            var isSkipped = _skipped.InARow > 0;
            if (isSkipped)
            {
                GptMetrics.WriteSkipped(log, _step, stage, _skipped.Total);
            }
            else
            {
                Report(log, window, stage, loss, norm);
            }

            saver.AfterStep(_step, isSkipped);
            if (IsDue(_options.SampleEvery))
            {
                InEvaluationMode(Sample);
            }

            if (_options.Metric is { } metric && IsDue(_options.MeasureEvery))
            {
                Measure(metric, log, stage, cancellation);
            }
        }

        saver.AtEnd(_step, _skipped.InARow > 0, cancellation);
        var isComplete = _step >= _schedule.TotalSteps;
        return new TrainingResult(_step, isComplete, Checkpoints.Latest, _stageSeconds, StageImages(),
            isComplete ? ValidationLoss(cancellation) : null, isComplete ? AverageValidationLoss(cancellation) : null) { SkippedSteps = _skipped.Total };
    }

    public void Dispose()
    {
        _reader?.Dispose(); // null, as the others, when the constructor failed early
        _pass?.Dispose();
        Model?.Dispose();
        _lock.Dispose();
    }

    private void Initialize(GptModel model) => GptInitializer.Initialize(model, new CounterRandom(_training.Seed, RandomStream.Initialization).Bits(0, 0));

    private void Continue(string checkpoint)
    {
        var state = GptCheckpoint.Load(checkpoint, Model, _optimizer);
        _step = state.Step;
        _skipped.Restore(state.SkippedSteps, state.SkippedInARow);
        state.StageSeconds.Take(_stageSeconds.Length).ToArray().CopyTo(_stageSeconds, 0);
        _pass.RefreshCopies();
        _options.OnNote?.Invoke($"Resumed from {checkpoint} at step {_step} of {_schedule.TotalSteps}.");
    }

    private void RequireSame(string checkpoint)
        => RunComparison.RequireSame(ConfigJson.Read(Path.Combine(checkpoint, "config.json"), ConfigJson.Default.CheckpointConfig), _config, ConfigJson.Default.CheckpointConfig, checkpoint);

    private bool IsDue(long every) => every > 0 && _step % every == 0;

    /// <summary>Validates and writes a line of metrics when they are due.</summary>
    private void Report(MetricsLog log, SpeedWindow window, PatchStage stage, double loss, double norm)
    {
        var isLast = _step == _schedule.TotalSteps;
        var validation = IsDue(_options.ValidateEvery) && !isLast ? ValidationLoss() : null;
        if (_step != 1 && _step % _options.LogEvery != 0 && !isLast && validation is null)
        {
            return;
        }

        var progress = new TrainingProgress(_step, _schedule.TotalSteps, stage, loss, _learningRate.At(_step - 1), norm, _step * _training.BatchSize,
            window.ImagesPerSecond, window.TokensPerSecond, SecondsLeft(), validation) { SkippedSteps = _skipped.Total, DataWaitShare = window.DataWaitShare };
        window.Reset();
        GptMetrics.Write(log, progress);
        _options.OnProgress?.Invoke(progress);
    }

    private void Save(int keep)
    {
        var state = new RunState
        {
            Step = _step, Images = _step * _training.BatchSize, StageSeconds = _stageSeconds, SkippedSteps = _skipped.Total, SkippedInARow = _skipped.InARow,
        };
        Checkpoints.Save(_step, folder => GptCheckpoint.Write(folder, _config, state, Model, _optimizer), keep);
    }

    private void Sample()
    {
        try
        {
            _options.OnSample?.Invoke(_step, Model);
        }
        catch (Exception e) when (DiskTrouble.Is(e))
        {
            _options.OnNote?.Invoke($"The sample grid of step {_step} could not be written: {e.Message}");
        }
    }

    /// <summary>One optimiser step over as many micro-batches as the stage's memory wants.</summary>
    private (double Loss, double Norm) TrainStep(PatchStage stage)
    {
        var geometry = new PatchGeometry(_modelConfig.GridSide, stage.PatchSide);
        var micro = _training.MicroBatchFor(stage.PatchSide);
        var loss = 0.0;
        for (var (start, part) = (0, 0); start < _training.BatchSize; start += micro, part++)
        {
            var batch = _reader.Take((_step * _training.BatchSize) + start, Math.Min(micro, _training.BatchSize - start));
            var share = (double)batch.Labels.Length / _training.BatchSize;
            loss += _pass.Forward(batch.Labels, batch.Codes, geometry, _dropoutSeeds.Bits(_step, part), share) * share;
            _pass.Backward();
        }

        var norm = _optimizer.GradientNorm();
        if (double.IsFinite(loss) && double.IsFinite(norm))
        {
            _optimizer.Step(_learningRate.At(_step), norm);
            _skipped.StepTaken();
        }
        else
        {
            SkipStep(loss, norm, stage);
        }

        return (loss, norm);
    }

    /// <summary>Leaves weights, moments and average as they are.</summary>
    private void SkipStep(double loss, double norm, PatchStage stage)
    {
        foreach (var parameter in Model.parameters())
        {
            parameter.grad = null;
        }

        var rate = _learningRate.At(_step);
        _skipped.Skip(
            $"The loss of step {_step} is {loss} (gradient norm {norm})",
            () => NonFiniteDump.Write(_options.Output, _step, loss, norm, rate, stage, _batches, _store, _training.BatchSize),
            () => $"The last checkpoint from before is {Checkpoints.Latest ?? "none (the run had not reached its first)"}. Lower the learning rate ({_training.LearningRate}) or raise the warm-up, and continue from a checkpoint with --init-from.");
    }

    private (Tensor Codes, Tensor Labels) Batch(int count, FillBatch fill)
    {
        var codes = new long[(long)count * _modelConfig.CodesPerImage];
        var labels = new long[count];
        fill(codes, labels);
        return (tensor(codes, [count, _modelConfig.CodesPerImage]), tensor(labels, [count])); // [B, T], [B]
    }

    /// <returns>Null without held-out images, or when cancelled on the way.</returns>
    private double? ValidationLoss(CancellationToken cancellation = default)
    {
        var heldOut = _store.Manifest.HeldOutCount;
        if (heldOut == 0)
        {
            return null;
        }

        var total = 0.0;
        InEvaluationMode(() =>
        {
            using var noGrad = no_grad();
            var grouping = new MeanPatchGrouping(new PatchGeometry(_modelConfig.GridSide, 1));
            var batch = Math.Min(heldOut, Math.Max(1, _training.MicroBatchFor(1)));
            for (var first = 0; first < heldOut && !cancellation.IsCancellationRequested; first += batch)
            {
                using var scope = NewDisposeScope();
                var count = Math.Min(batch, heldOut - first);
                var (codes, labels) = Batch(count, (c, l) => _batches.FillHeldOut(first, c, l));
                var hidden = Model.PatchHidden(labels, codes, grouping);
                total += PatchLoss.Evaluate(hidden, Model.Head, grouping.Targets(codes)).item<float>() * count;
            }
        });
        return cancellation.IsCancellationRequested ? null : total / heldOut;
    }

    private double? AverageValidationLoss(CancellationToken cancellation)
    {
        var loss = default(double?);
        if (_optimizer.HasAverage && !cancellation.IsCancellationRequested)
        {
            WithAverage(() => loss = ValidationLoss(cancellation));
        }

        return loss;
    }

    private void Measure(IGenerationMetric metric, MetricsLog log, PatchStage stage, CancellationToken cancellation)
    {
        void Draw() => InEvaluationMode(() =>
        {
            using var engine = new TorchGenerationEngine(Model, ownsModel: false);
            GptMetrics.WriteMeasured(log, _step, stage, _optimizer.HasAverage, metric.Measure(engine, cancellation));
        });
        try
        {
            if (_optimizer.HasAverage)
            {
                WithAverage(Draw);
            }
            else
            {
                Draw();
            }
        }
        catch (OperationCanceledException)
        {
            // The loop ends by itself and writes its checkpoint.
        }
    }

    /// <summary>Puts the averaged weights into the model for a while.</summary>
    private void WithAverage(Action action)
    {
        var trained = StateLoader.Capture(Model).ToDictionary();
        StateLoader.Load(Model, _optimizer.CaptureAverage().ToDictionary(), "the weight average");
        try
        {
            action();
        }
        finally
        {
            StateLoader.Load(Model, trained, "the trained weights");
        }
    }

    private void InEvaluationMode(Action action)
    {
        Model.eval();
        try
        {
            action();
        }
        finally
        {
            Model.train();
        }
    }

    /// <summary>Seconds of what is left, from the planned FLOPs of each stage and the seconds its FLOPs took so far.</summary>
    private double SecondsLeft()
    {
        double done = 0, left = 0;
        foreach (var cost in _cost.Stages)
        {
            var steps = Math.Clamp(_step - cost.Stage.Start, 0, cost.Stage.StepCount);
            done += steps * cost.FlopsPerImage;
            left += (cost.Stage.StepCount - steps) * cost.FlopsPerImage;
        }

        return done > 0 ? _stageSeconds.Sum() / done * left : 0;
    }

    private IReadOnlyList<long> StageImages()
        => [.. _schedule.Stages.Select(s => Math.Clamp(_step - s.Start, 0, s.StepCount) * _training.BatchSize)];

    private delegate void FillBatch(Span<long> codes, Span<long> labels);
}
