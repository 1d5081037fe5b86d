using NextPatch.Core.Configuration;
using NextPatch.Core.Patches;
using NextPatch.Core.Sampling;
using NextPatch.Torch.Gpt;
using NextPatch.Torch.Gpt.Fused;
using NextPatch.Torch.Gpt.Reference;
using NextPatch.Training.Optimization;

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

    /// <param name="model">Its weights are trained; stays the caller's.</param>
    /// <param name="training">Batch, optimiser, precision, who computes.</param>
    /// <param name="batches">The training stream.</param>
    /// <param name="recompute">Activation checkpointing; the fused step's.</param>
    public GptStep(GptModel model, TrainingConfig training, BatchSource batches, bool recompute)
    {
        (_model, _training) = (model.Config, training);
        _dropoutSeeds = new CounterRandom(training.Seed, RandomStream.Dropout);
        _pass = training.StepImplementation == StepImplementation.Fused
            ? new FusedGpt(model, training.Precision, recompute, training.Grouping, training.TargetPower)
            : new ReferenceGpt(model, training.Grouping, training.TargetPower);
        _reader = new BatchReader(batches, _model.CodesPerImage);
        Optimizer = new AdamW(model.named_parameters().Select(p => (p.name, p.parameter)), training, _pass.Copies);
    }

    public AdamW Optimizer { get; }

    /// <summary>Computes the loss of a step and, where it and its gradient are finite, takes it.</summary>
    /// <param name="step">Steps before this one.</param>
    /// <param name="patchSide">Patch side of the step's stage.</param>
    /// <param name="learningRate">Rate of the step.</param>
    public GptStepResult Run(long step, int patchSide, double learningRate)
    {
        var geometry = new PatchGeometry(_model.GridSide, patchSide);
        var micro = _training.MicroBatchFor(patchSide);
        var loss = 0.0;
        for (var (start, part) = (0, 0); start < _training.BatchSize; start += micro, part++)
        {
            var batch = _reader.Take((step * _training.BatchSize) + start, Math.Min(micro, _training.BatchSize - start));
            var share = (double)batch.Labels.Length / _training.BatchSize;
            loss += _pass.Forward(batch.Labels, batch.Codes, geometry, _dropoutSeeds.Bits(step, part), share) * share;
            _pass.Backward();
        }

        var result = new GptStepResult(loss, Optimizer.GradientNorm());
        if (result.IsTaken)
        {
            Optimizer.Step(learningRate, result.Norm);
        }
        else
        {
            Optimizer.DropGradients();
        }

        return result;
    }

    /// <summary>Mean loss in nats at patch side 1, without dropout, in the precision of the run.</summary>
    /// <param name="labels">[B].</param>
    /// <param name="codes">[B, T].</param>
    public double Evaluate(long[] labels, long[] codes) => _pass.Evaluate(labels, codes, new PatchGeometry(_model.GridSide, 1));

    /// <summary>Seconds waited for data since the last call.</summary>
    public double TakeDataSeconds() => _reader.TakeSeconds();

    /// <summary>Call it when weights changed other than by <see cref="Run"/>.</summary>
    public void RefreshCopies() => _pass.RefreshCopies();

    public void Dispose()
    {
        _reader.Dispose();
        _pass.Dispose();
    }
}

/// <summary>What one optimiser step measured.</summary>
/// <param name="Loss">Mean patch loss in nats.</param>
/// <param name="Norm">Norm of the gradients before clipping.</param>
internal readonly record struct GptStepResult(double Loss, double Norm)
{
    /// <summary>False: loss or gradient was not finite, and weights, moments and average are as they were.</summary>
    public bool IsTaken => double.IsFinite(Loss) && double.IsFinite(Norm);
}
