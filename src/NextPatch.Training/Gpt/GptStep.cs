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
            ? new FusedGpt(model, training.Precision, recompute, training.Grouping, training.TargetPower, training.PatchPosition)
            : new ReferenceGpt(model, training.Grouping, training.TargetPower, training.PatchPosition);
        _reader = new BatchReader(batches, _model.CodesPerImage);
        Optimizer = new AdamW(model.named_parameters().Select(p => (p.name, p.parameter)), training, _pass.Copies);
    }

    public AdamW Optimizer { get; }

    /// <summary>Computes the loss of a step and, where it and its gradient are finite, takes it.</summary>
    /// <param name="step">Steps before this one.</param>
    /// <param name="place">Images before it.</param>
    /// <param name="parts">How many images are trained with patches of which side, in their order in the stream.</param>
    /// <param name="learningRate">Rate of the step.</param>
    public GptStepResult Run(long step, long place, IReadOnlyList<GptStepPart> parts, double learningRate)
    {
        var (total, loss, pass) = (parts.Sum(p => p.Images), 0.0, 0);
        foreach (var (side, images) in parts)
        {
            var (geometry, micro, end) = (new PatchGeometry(_model.GridSide, side), _training.MicroBatchFor(side), place + images);
            for (; place < end; pass++)
            {
                var batch = _reader.Take(place, (int)Math.Min(micro, end - place));
                var share = (double)batch.Labels.Length / total;
                loss += _pass.Forward(batch.Labels, batch.Codes, geometry, _dropoutSeeds.Bits(step, pass), share, batch.Captions) * share;
                _pass.Backward();
                place += batch.Labels.Length;
            }
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
    public void RefreshCopies() => _pass.RefreshCopies();

    public void Dispose()
    {
        _reader.Dispose();
        _pass.Dispose();
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
}
