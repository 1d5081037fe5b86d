using NextPatch.Core.Configuration;
using NextPatch.Core.Patches;
using NextPatch.Core.Sampling;
using NextPatch.Core.Tensors;
using NextPatch.Torch.Gpt;
using NextPatch.Torch.Gpt.Fused;
using NextPatch.Torch.Gpt.Reference;
using NextPatch.Training.Optimization;
using NextPatch.Training.Ranks;

namespace NextPatch.Training.Gpt;

/// <summary>
/// The arithmetic of one optimiser step: micro-batches through the training pass, gradient norm, update. It knows nothing of folders, logs and
/// intervals.
/// </summary>
internal sealed class GptStep : IDisposable
{
    private readonly GptConfig _model;
    private readonly TrainingConfig _training;
    private readonly IGptPass _pass;
    private readonly BatchReader _reader;
    private readonly CounterRandom _dropoutSeeds;
    private readonly ICommunicator _ranks;
    private readonly ShardedParameters? _shards; // null where there is one rank
    private readonly FlatAdamW? _flat;           // the reference step's, on one rank
    private readonly HostParameters? _host;      // where the ranks' models lie on other devices

    /// <param name="model">Its weights are trained, by the reference step where they lie, by the fused one on the CPU; stays the caller's.</param>
    /// <param name="training">Batch, optimiser, precision, who computes.</param>
    /// <param name="batches">The training stream.</param>
    /// <param name="recompute">Activation checkpointing.</param>
    /// <param name="ranks">Who computes the step together: each its slice of the batch, and its part of the update.</param>
    /// <param name="bf16Gradients">Whether gradients travel between ranks rounded to bf16.</param>
    /// <param name="hasHostCopy">Whether ranks update a copy of the weights; null: where the model lies on another device than the processor.</param>
    public GptStep(
        GptModel model, TrainingConfig training, BatchSource batches, bool recompute, ICommunicator? ranks = null, bool bf16Gradients = false,
        bool? hasHostCopy = null)
    {
        (_model, _training, _ranks) = (model.Config, training, ranks ?? SingleRank.Instance);
        _dropoutSeeds = new CounterRandom(training.Seed, RandomStream.Dropout);
        var isFused = training.StepImplementation == StepImplementation.Fused;
        _pass = isFused
            ? new FusedGpt(model, training.Precision, recompute, training.Grouping, training.TargetPower, training.PatchPosition)
            : new ReferenceGpt(model, training.Grouping, training.TargetPower, training.PatchPosition, training.Precision, recompute);
        _reader = new BatchReader(batches, _model.CodesPerImage);
        var parameters = model.named_parameters().Select(p => (p.name, p.parameter)).ToArray();
        var hasAverage = training.EmaDecay > 0;
        if (_ranks.Size > 1 && (hasHostCopy ?? model.Head.device_type != TorchSharp.DeviceType.CPU))
        {
            _host = new HostParameters(parameters);
            parameters = [.. _host.Parameters];
        }

        _shards = _ranks.Size == 1 ? null : new ShardedParameters(_ranks, parameters, _pass.Copies, hasAverage, bf16Gradients);
        _flat = isFused || _shards is not null ? null : new FlatAdamW(parameters, training);
        Optimizer = (IOptimizer?)_flat ?? new AdamW(parameters, training, _pass.Copies, _shards?.Parts);
    }

    public IOptimizer Optimizer { get; }

    /// <summary>Computes the loss of a step and, where it and its gradient are finite, takes it.</summary>
    /// <param name="step">Steps before this one.</param>
    /// <param name="place">Images before it.</param>
    /// <param name="parts">How many images are trained with patches of which side, in their order in the stream.</param>
    /// <param name="learningRate">Rate of the step.</param>
    /// <param name="cpuSeconds">Processor time of this process in steps before.</param>
    /// <param name="wishes">What this rank wants of all.</param>
    public GptStepResult Run(
        long step, long place, IReadOnlyList<GptStepPart> parts, double learningRate, double cpuSeconds = 0,
        StepWishes wishes = StepWishes.None)
    {
        var total = parts.Sum(p => p.Images);
        var passes = MicroBatch.Slice(_training, place, parts, _ranks.Rank, _ranks.Size);
        for (var i = 0; i < passes.Count; i++)
        {
            var (pass, isLast) = (passes[i], i == passes.Count - 1);
            var next = isLast ? passes[0] with { Place = passes[0].Place + total } : passes[i + 1];
            var batch = _reader.Take(pass.Place, pass.Count, (next.Place, next.Count));
            _pass.Forward(
                batch.Labels, batch.Codes, new PatchGeometry(_model.GridSide, pass.PatchSide), _dropoutSeeds.Bits(step, pass.Index),
                (double)pass.Count / total, batch.Captions, pass.FirstImage);
            _pass.Backward(isLast && _shards is not null ? GradientIsReady : null);
        }

        _shards?.SumGradients();
        var reports = new StepReport(step, place, _pass.TakeLoss(), Optimizer.SumOfSquares(), cpuSeconds, wishes).Exchange(_ranks);
        var result = new GptStepResult(reports.Sum(r => r.Loss), Math.Sqrt(reports.Sum(r => r.Squares)))
        {
            Wishes = reports.Aggregate(StepWishes.None, (all, r) => all | r.Wishes),
            CpuSeconds = reports.Sum(r => r.CpuSeconds),
        };
        if (result.IsTaken)
        {
            Optimizer.Step(learningRate, result.Norm);
            SpreadWeights();
        }
        else
        {
            Optimizer.DropGradients();
        }

        return result;
    }

    /// <summary>Exchanges weights and average on all ranks: once to look at the average, once more before training goes on.</summary>
    public void SwapAverage()
    {
        Optimizer.SwapAverage();
        SpreadWeights();
        _pass.RefreshCopies();
    }

    /// <summary>Lets rank 0 do alone what may read <see cref="Moments"/> and <see cref="Average"/>; all ranks call it.</summary>
    public void WithWriter(Action action)
    {
        if (_shards is null)
        {
            action();
        }
        else
        {
            _shards.WithWriter(action);
        }
    }

    /// <summary>The optimiser's moments as a checkpoint has them.</summary>
    public IEnumerable<KeyValuePair<string, StoredTensor>> Moments() => _shards?.Moments() ?? Optimizer.Moments();

    /// <summary>The EMA weights by state key.</summary>
    public IEnumerable<KeyValuePair<string, StoredTensor>> Average() => _shards?.Average() ?? Optimizer.Average();

    /// <summary>Mean loss in nats, without dropout, in the precision of the run.</summary>
    /// <param name="labels">[B].</param>
    /// <param name="codes">[B, T].</param>
    /// <param name="patchSide">Side of the patches that are predicted.</param>
    /// <param name="captions">Of a text model.</param>
    public double Evaluate(long[] labels, long[] codes, int patchSide = 1, CaptionBatch? captions = null)
        => _pass.Evaluate(labels, codes, new PatchGeometry(_model.GridSide, patchSide), captions);

    /// <summary>Seconds waited for data since the last call.</summary>
    public double TakeDataSeconds() => _reader.TakeSeconds();

    /// <summary>Call it when weights changed other than by <see cref="Run"/>.</summary>
    public void RefreshCopies()
    {
        _host?.TakeWeights();
        _pass.RefreshCopies();
    }

    public void Dispose()
    {
        _reader.Dispose();
        _pass.Dispose();
        _shards?.Dispose();
        _flat?.Dispose();
        _host?.Dispose();
    }

    private void GradientIsReady(string name)
    {
        _host?.TakeGradient(name);
        _shards!.GradientIsReady(name);
    }

    private void SpreadWeights()
    {
        _shards?.SpreadWeights();
        _host?.GiveWeights();
    }
}

/// <summary>Images of a step that are trained with the same patches.</summary>
/// <param name="PatchSide">Side p of the patches.</param>
/// <param name="Images">How many.</param>
internal readonly record struct GptStepPart(int PatchSide, int Images);

/// <summary>What one optimiser step measured.</summary>
/// <param name="Loss">Mean patch loss in nats.</param>
/// <param name="Norm">Norm of the gradients before clipping.</param>
internal readonly record struct GptStepResult(double Loss, double Norm)
{
    /// <summary>False: loss or gradient was not finite, and weights, moments and average are as they were.</summary>
    public bool IsTaken => double.IsFinite(Loss) && double.IsFinite(Norm);

    /// <summary>What any rank wants.</summary>
    public StepWishes Wishes { get; init; }

    /// <summary>Processor time of all ranks in the steps before.</summary>
    public double CpuSeconds { get; init; }
}
