using System.Diagnostics;
using NextPatch.Core;
using NextPatch.Core.Configuration;
using NextPatch.Core.Patches;
using NextPatch.Core.Sampling;
using NextPatch.Data.Codes;
using NextPatch.Torch.Gpt;
using NextPatch.Torch.Patches;
using NextPatch.Training.Optimization;
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
    private long _step;

    /// <param name="config">Model and training settings; <see cref="CheckpointConfig.Training"/> must be set.</param>
    /// <param name="store">Codes; stays the caller's.</param>
    /// <param name="options">Folders, intervals, callbacks.</param>
    /// <param name="initialWeights">Fills the model at the start of a fresh run; null = drawn from the seed.</param>
    /// <exception cref="ConfigException">Settings cannot work, do not fit the codes, or differ from those of the run to resume.</exception>
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
        Checkpoints = new CheckpointFolder(options.Output);
        var latest = FindStart();

        Model = new GptModel(_modelConfig);
        if (latest is null)
        {
            if (initialWeights is null)
            {
                GptInitializer.Initialize(Model, new CounterRandom(_training.Seed, RandomStream.Initialization).Bits(0, 0));
            }
            else
            {
                initialWeights(Model);
            }
        }

        _pass = new TrainingPass(Model, _training.Precision, options.Recompute);
        _reader = new BatchReader(_batches, _modelConfig.CodesPerImage);
        _optimizer = new AdamW(Model.named_parameters().Select(p => (p.name, p.parameter)), _training, _pass.Copies);
        if (latest is not null)
        {
            Continue(latest);
        }
    }

    public GptModel Model { get; }

    public CheckpointFolder Checkpoints { get; }

    /// <summary>Planned cost of the whole run.</summary>
    public TrainingCost Cost => _cost;

    /// <summary>Trains to the end or until cancelled; either way the last thing it does is to write a checkpoint.</summary>
    /// <exception cref="NextPatchException">The loss is not a number: the step is not taken, its batch is dumped, the last checkpoint stays.</exception>
    public TrainingResult Run(CancellationToken cancellation = default)
    {
        using var log = new MetricsLog(_options.Output, _step);
        var window = new SpeedWindow();
        var saved = -1L;
        while (_step < _schedule.TotalSteps && !cancellation.IsCancellationRequested)
        {
            var stage = _schedule.At(_step);
            var watch = Stopwatch.StartNew();
            var (loss, norm) = TrainStep(stage);
            _stageSeconds[stage.Index] += watch.Elapsed.TotalSeconds;
            window.Add(_training.BatchSize, (long)_training.BatchSize * _cost.Stages[stage.Index].TokensPerImage, watch.Elapsed.TotalSeconds, _reader.TakeSeconds());
            _step++;
            var isLast = _step == _schedule.TotalSteps;
            var validation = IsDue(_options.ValidateEvery) && !isLast ? ValidationLoss() : null;
            if (_step == 1 || _step % _options.LogEvery == 0 || isLast || validation is not null)
            {
                var progress = new TrainingProgress(_step, _schedule.TotalSteps, stage, loss, _learningRate.At(_step - 1), norm, _step * _training.BatchSize,
                    window.ImagesPerSecond, window.TokensPerSecond, SecondsLeft(), validation) { DataWaitShare = window.DataWaitShare };
                window.Reset();
                log.Write(progress);
                _options.OnProgress?.Invoke(progress);
            }

            if (IsDue(_options.CheckpointEvery) || isLast)
            {
                Save();
                saved = _step;
            }

            if (IsDue(_options.SampleEvery))
            {
                InEvaluationMode(() => _options.OnSample?.Invoke(_step, Model));
            }
        }

        var isComplete = _step >= _schedule.TotalSteps;
        if (saved != _step && _step > 0 && !isComplete)
        {
            Save();
        }

        return new TrainingResult(_step, isComplete, Checkpoints.Latest, _stageSeconds, StageImages(),
            isComplete ? ValidationLoss() : null, isComplete ? AverageValidationLoss() : null);
    }

    public void Dispose()
    {
        _reader.Dispose();
        _pass.Dispose();
        Model.Dispose();
    }

    private void Continue(string checkpoint)
    {
        try
        {
            var state = CheckpointFolder.Load(checkpoint, Model, _optimizer);
            _step = state.Step;
            state.StageSeconds.Take(_stageSeconds.Length).ToArray().CopyTo(_stageSeconds, 0);
            _pass.RefreshCopies();
        }
        catch
        {
            Dispose();
            throw;
        }

        _options.OnNote?.Invoke($"Resumed from {checkpoint} at step {_step} of {_schedule.TotalSteps}.");
    }

    private bool IsDue(long every) => every > 0 && _step % every == 0;

    private void Save() => Checkpoints.Save(_config, new RunState { Step = _step, Images = _step * _training.BatchSize, StageSeconds = _stageSeconds }, Model, _optimizer, _options.KeepLast);

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
        if (!double.IsFinite(loss) || !double.IsFinite(norm))
        {
            StopOnNonFinite(loss, norm, stage);
        }

        _optimizer.Step(_learningRate.At(_step), norm);
        return (loss, norm);
    }

    private void StopOnNonFinite(double loss, double norm, PatchStage stage)
    {
        // No checkpoint is written here: an earlier update may already have spoiled the weights.
        var dump = NonFiniteDump.Write(_options.Output, _step, loss, norm, _learningRate.At(_step), stage, _batches, _store, _training.BatchSize);
        throw new NextPatchException(
            $"The loss of step {_step} is {loss} (gradient norm {norm}), so the run stopped before using it. The batch is in {dump}; the last good checkpoint is {Checkpoints.Latest ?? "none (the run had not reached its first)"}. Lower the learning rate ({_training.LearningRate}) or raise the warm-up, and continue from that checkpoint with --init-from.");
    }

    private (Tensor Codes, Tensor Labels) Batch(int count, FillBatch fill)
    {
        var codes = new long[(long)count * _modelConfig.CodesPerImage];
        var labels = new long[count];
        fill(codes, labels);
        return (tensor(codes, [count, _modelConfig.CodesPerImage]), tensor(labels, [count])); // [B, T], [B]
    }

    private double? ValidationLoss()
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
            for (var first = 0; first < heldOut; first += batch)
            {
                using var scope = NewDisposeScope();
                var count = Math.Min(batch, heldOut - first);
                var (codes, labels) = Batch(count, (c, l) => _batches.FillHeldOut(first, c, l));
                var hidden = Model.PatchHidden(labels, codes, grouping);
                total += PatchLoss.Evaluate(hidden, Model.Head, grouping.Targets(codes)).item<float>() * count;
            }
        });
        return total / heldOut;
    }

    private double? AverageValidationLoss()
    {
        if (!_optimizer.HasAverage)
        {
            return null;
        }

        var trained = Torch.Loading.StateLoader.Capture(Model).ToDictionary();
        Torch.Loading.StateLoader.Load(Model, _optimizer.CaptureAverage().ToDictionary(), "the weight average");
        var loss = ValidationLoss();
        Torch.Loading.StateLoader.Load(Model, trained, "the trained weights");
        return loss;
    }

    private void InEvaluationMode(Action action)
    {
        Model.eval();
        action();
        Model.train();
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

    /// <summary>The checkpoint to start from, after checking that the folder may be used.</summary>
    private string? FindStart()
    {
        RunChecks.RequireWritable(_options.Output);
        var latest = Checkpoints.Latest;
        if (latest is not null && !_options.Resume)
        {
            throw new ConfigException($"{_options.Output} already holds a run ({Path.GetFileName(latest)}). Continue it with --resume, or choose another --output.");
        }

        if (latest is not null)
        {
            RunComparison.RequireSame(ConfigJson.Read(Path.Combine(latest, "config.json"), ConfigJson.Default.CheckpointConfig), _config, latest);
        }

        return latest;
    }

    private delegate void FillBatch(Span<long> codes, Span<long> labels);
}
