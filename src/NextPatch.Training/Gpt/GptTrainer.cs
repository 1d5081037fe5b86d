using NextPatch.Core;
using NextPatch.Core.Configuration;
using NextPatch.Core.Patches;
using NextPatch.Core.Sampling;
using NextPatch.Data.Codes;
using NextPatch.Torch.Devices;
using NextPatch.Torch.Gpt;
using NextPatch.Training.Ranks;
using NextPatch.Training.Runs;

namespace NextPatch.Training.Gpt;

/// <summary>
/// Trains a transformer coarse to fine. Patch stage, learning rate, data order, label dropout and dropout seeds are pure functions
/// of the step, so a resumed run ends with the same bytes as one that was never interrupted.
/// </summary>
internal sealed partial class GptTrainer : TrainingRun
{
    private readonly CheckpointConfig _config; // with the run's own length
    private readonly TrainingConfig _training;
    private readonly CodeStore _store;
    private readonly GptRunOptions _options;
    private readonly ICommunicator _ranks;
    private readonly bool _isMeasured;
    private readonly CancellationTokenSource _agreed = new(); // that all ranks know of
    private readonly BatchSource _batches;
    private readonly PlateauSwitch? _plateau;
    private readonly RunStages _stages;
    private readonly LearningRateSchedule _learningRate;
    private readonly StageTimes _times;
    private readonly string _device;
    private readonly GptStep _trainer;
    private readonly GptEvaluation _evaluation;
    private GptStepResult _last;
    private CancellationToken _asked;
    private double _othersCpuSeconds;
    private double? _validation;
    private (long Step, IReadOnlyDictionary<string, double> Values)? _figures;
    private (double? Own, double? Average) _losses;

    /// <param name="config">Model and training settings; <see cref="CheckpointConfig.Training"/> must be set.</param>
    /// <param name="store">Codes; stays the caller's.</param>
    /// <param name="options">Folders, intervals, callbacks.</param>
    /// <param name="initialWeights">Fills the model at the start of a fresh run; null = drawn from the seed.</param>
    /// <param name="captions">Of a text model; stay the caller's.</param>
    /// <exception cref="ConfigException">Settings cannot work, do not fit the codes, or differ from those of the run to resume.</exception>
    /// <exception cref="NextPatchException">The folder cannot be written, another run holds it, or none of its checkpoints is whole.</exception>
    public GptTrainer(
        CheckpointConfig config, CodeStore store, GptRunOptions options, Action<GptModel>? initialWeights = null,
        TrainingCaptions? captions = null)
        : base(options, options.Ranks.Rank == 0)
    {
        var model = config.Model.Validated();
        var given = (config.Training ?? throw new ArgumentException("The configuration has no training settings.", nameof(config))).Validated(model);
        _store = store;
        (_options, _ranks) = (options, options.Ranks);
        RunChecks.RequireFit(store, model, captions);
        RunChecks.RequireStep(given, options.Device);
        _device = _ranks.Size == 1 ? options.Device : RankPlacement.Find(_ranks).DeviceFor(options.Device, TorchDevices.Found);
        _ = TorchDevices.Open(_device); // what is not there is refused before anything is written
        _batches = new BatchSource(store, model, given.Seed, captions);
        _training = RunExtension.Apply(given, options, _batches.TrainingCount);
        config = _config = config with { Training = _training };
        RankAgreement.Require(_ranks, config, store);
        _isMeasured = _ranks.Broadcast(options.Metric is not null, "what is measured");
        _stages = new RunStages(model, _training, _training.CreateSchedule(_batches.TrainingCount), captions?.MeanLength);
        _learningRate = _training.CreateLearningRate(_stages.Schedule, _batches.TrainingCount);
        _times = new StageTimes(_stages.Schedule.Stages.Count);
        try
        {
            var checkpoint = _ranks.Rank > 0 ? null : TakeFolder(folder => GptCheckpoint.RequireSame(folder, config, _batches.TrainingCount));
            Model = new GptModel(model);
            _plateau = _training.PlateauShare > 0 ? new PlateauSwitch(_training.PlateauShare, null) : null;
            if (checkpoint is null)
            {
                (initialWeights ?? Initialize)(Model);
            }

            GptCheckpoint.Spread(_ranks, Model);
            TorchDevices.Move(Model, _device);
            if (options.Tf32)
            {
                TorchDevices.AllowTf32();
            }

            _trainer = new GptStep(Model, _training, _batches, options.Recompute, _ranks, options.Bf16Gradients ?? false);
            _evaluation = new GptEvaluation(Model, _trainer, _batches, _training.MicroBatchFor(1), _ranks);
            if (GptCheckpoint.Load(checkpoint, Model, _trainer.Optimizer, _ranks) is { } state)
            {
                _times.Restore(state.StageSeconds);
                _plateau = _training.PlateauShare > 0 ? new PlateauSwitch(_training.PlateauShare, state.Plateau) : null;
                _stages.Set(_plateau?.Apply(_stages.Schedule) ?? _stages.Schedule);
                _figures = state.Result?.Figures is { } figures ? (state.Result.FiguresStep ?? state.Step, figures) : null;
                _trainer.RefreshCopies();
                Continue(checkpoint ?? "rank 0", state.Step, state.SkippedSteps, state.SkippedInARow, _ranks.Rank == 0 ? state.CpuSeconds : 0);
                RunExtension.Explain(given, _training, _batches.TrainingCount, state.Step, options.OnNote);
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
    public TrainingCost Cost => _stages.Cost;

    /// <summary>The run's settings, with the length that <see cref="GptRunOptions.ExtendTo"/> gave it.</summary>
    internal CheckpointConfig Config => _config;

    private PatchStage NextStage => _stages.Schedule.At(Step);

    private long ImagesSeen => _stages.ImagesBefore(Step);

    private PatchStage LastStage => _stages.Schedule.At(Step - 1);

    private protected override void WithWriter(Action action) => _trainer.WithWriter(action);

    private protected override long TotalSteps => _stages.Schedule.TotalSteps;

    private protected override double LearningRate => _training.LearningRate;

    private protected override IReadOnlyDictionary<string, object> Parameters => GptMetrics.ParametersOf(_config);

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
        _asked = cancellation;
        var isComplete = TakeSteps(_ranks.Size == 1 ? cancellation : _agreed.Token);
        return new TrainingResult(Step, isComplete, Checkpoints.Latest, _times.Seconds, _stages.StageImages(Step), _losses.Own, _losses.Average)
        {
            SkippedSteps = Skipped.Total,
            Outcome = Outcome(isComplete),
        };
    }

    public override void Dispose()
    {
        _trainer?.Dispose(); // null, as the model, when the constructor failed early
        Model?.Dispose();
        _agreed.Dispose();
        base.Dispose();
    }

    private protected override void BeforeSteps(MetricsLog log, CancellationToken cancellation) => MarkWhenDue(log, cancellation);

    private protected override string? TakeStep()
    {
        if (_plateau is not null && PlateauSwitch.IsDue(_stages.Schedule, Step))
        {
            LookForPlateau(_plateau);
        }

        var stage = NextStage;
        if (_training.ResetsMoments && stage.Index > 0 && stage.Start == Step)
        {
            _trainer.Optimizer.ResetMoments();
        }

        var wishes = (_asked.IsCancellationRequested ? StepWishes.Stop : 0) | (OwesCheckpoint ? StepWishes.Checkpoint : 0);
        try
        {
            _last = _trainer.Run(Step, ImagesSeen, _stages.PartsOf(stage), _learningRate.At(Step), CpuSeconds, wishes);
        }
        catch (Exception e) when (e is not NextPatchException && StepMemory.IsExhausted(e))
        {
            throw new StepMemory(_config.Model, _training, !TorchDevices.IsCpu(_device))
                .Exhausted(_device, TorchDevices.MemoryOf(_device), _options.Recompute, e);
        }

        OwesCheckpoint = _last.Wishes.HasFlag(StepWishes.Checkpoint);
        _othersCpuSeconds = _last.CpuSeconds - CpuSeconds;
        if (_last.Wishes.HasFlag(StepWishes.Stop) && _ranks.Size > 1)
        {
            _agreed.Cancel();
        }

        return _last.IsTaken ? null : $"{_last.Loss} (gradient norm {_last.Norm})";
    }

    private protected override void AddSeconds(double seconds, SpeedWindow speed)
    {
        var (stage, images) = (NextStage, _stages.ImagesPerStep(NextStage));
        _times.Add(stage, seconds);
        speed.Add(images, (long)images * Cost.Stages[stage.Index].TokensPerImage, seconds, _trainer.TakeDataSeconds());
    }

    private protected override string DumpBatch() => _ranks.Rank > 0 ? "the run's folder" : NonFiniteDump.Write(
        _options.Output, Step, _last.Loss, _last.Norm, _learningRate.At(Step), NextStage, _batches, _store, ImagesSeen,
        _stages.ImagesPerStep(NextStage));

    private protected override bool Validate() => (_validation = _evaluation.Loss(_options.ValidationImages)) is not null;

    private protected override void Report(MetricsLog log, SpeedWindow speed)
    {
        var progress = new TrainingProgress(
            Step, TotalSteps, LastStage, _last.Loss, _learningRate.At(Step - 1), _last.Norm, ImagesSeen,
            speed.ImagesPerSecond, speed.TokensPerSecond, _times.SecondsLeft(Cost, Step), _validation)
        {
            SkippedSteps = Skipped.Total, DataWaitShare = speed.DataWaitShare, Seconds = _times.Seconds.Sum(),
            Flops = _stages.FlopsBefore(Step),
        };
        _validation = null;
        GptMetrics.Write(log, progress);
        _options.OnProgress?.Invoke(progress);
    }

    private protected override void ReportSkipped(MetricsLog log) => GptMetrics.WriteSkipped(log, Step, LastStage, Skipped.Total);

    private protected override void Save(int keep)
    {
        var state = State(result: null);
        Checkpoints.Save(Step, folder => GptCheckpoint.Write(folder, _config, state, Model, _trainer), keep);
    }

    private protected override void AfterStep(MetricsLog log, CancellationToken cancellation)
    {
        if (IsDue(_options.SampleEvery))
        {
            _evaluation.Sample(_options, Step, log);
        }

        if (IsDue(_options.MeasureEvery))
        {
            Measure(log, cancellation);
        }

        MarkWhenDue(log, cancellation);
    }

    private void Initialize(GptModel model)
        => GptInitializer.Initialize(model, new CounterRandom(_training.Seed, RandomStream.Initialization).Bits(0, 0));

    private void LookForPlateau(PlateauSwitch plateau)
    {
        var stage = NextStage;
        if (_evaluation.Loss(PlateauSwitch.Images, stage.PatchSide) is { } loss
            && plateau.EndsStage(_stages.Schedule, Step, _stages.FlopsBefore(Step), loss))
        {
            _stages.Set(_stages.Schedule.WithEnd(stage.Index, Step));
            _options.OnNote?.Invoke(
                $"Stage {stage.Index} (p = {stage.PatchSide}) ends at step {Step} of {stage.End}: its loss has reached a plateau.");
        }
    }
}
