using NextPatch.Core.Generation;
using NextPatch.Core.Patches;
using NextPatch.Torch.Generation;
using NextPatch.Torch.Gpt;
using NextPatch.Torch.Patches;
using NextPatch.Training.Optimization;
using static TorchSharp.torch;

namespace NextPatch.Training.Gpt;

/// <summary>What is asked of a model between its training steps. Weights and mode are afterwards as they were.</summary>
/// <param name="model">The model that is trained.</param>
/// <param name="optimizer">Holds the weight average.</param>
/// <param name="batches">Gives the held-out images.</param>
/// <param name="batchSize">Images per forward pass.</param>
internal sealed class GptEvaluation(GptModel model, AdamW optimizer, BatchSource batches, int batchSize)
{
    /// <summary>Mean loss of the held-out images at patch side 1, in nats.</summary>
    /// <returns>Null without held-out images, or when cancelled on the way.</returns>
    public double? Loss(CancellationToken cancellation = default)
        => batches.HeldOutCount == 0 ? null : InEvaluationMode(() =>
        {
            using var noGrad = no_grad();
            var grouping = new MeanPatchGrouping(new PatchGeometry(model.Config.GridSide, 1));
            var total = 0.0;
            for (var first = 0; first < batches.HeldOutCount && !cancellation.IsCancellationRequested; first += batchSize)
            {
                using var scope = NewDisposeScope();
                var count = Math.Min(batchSize, batches.HeldOutCount - first);
                var (codes, labels) = HeldOut(first, count);
                var hidden = model.PatchHidden(labels, codes, grouping);
                total += PatchLoss.Evaluate(hidden, model.Head, grouping.Targets(codes)).item<float>() * count;
            }

            return cancellation.IsCancellationRequested ? default(double?) : total / batches.HeldOutCount;
        });

    /// <summary><see cref="Loss"/> of the weight average.</summary>
    /// <returns>Null also where there is no average.</returns>
    public double? AverageLoss(CancellationToken cancellation)
        => optimizer.HasAverage && !cancellation.IsCancellationRequested ? WithAverage(() => Loss(cancellation)) : null;

    /// <summary>Measures images that the weight average draws, or the trained weights where there is none.</summary>
    /// <returns>Figures by name; null when cancelled.</returns>
    public IReadOnlyDictionary<string, double>? Measure(IGenerationMetric metric, CancellationToken cancellation)
    {
        IReadOnlyDictionary<string, double> Draw() => InEvaluationMode(() =>
        {
            using var engine = new TorchGenerationEngine(model, ownsModel: false);
            return metric.Measure(engine, cancellation);
        });
        try
        {
            return optimizer.HasAverage ? WithAverage(Draw) : Draw();
        }
        catch (OperationCanceledException)
        {
            return null;
        }
    }

    /// <summary>Lends the model in evaluation mode.</summary>
    public void Lend(Action<GptModel> borrower) => InEvaluationMode(() =>
    {
        borrower(model);
        return true;
    });

    private T InEvaluationMode<T>(Func<T> action)
    {
        model.eval();
        try
        {
            return action();
        }
        finally
        {
            model.train();
        }
    }

    private T WithAverage<T>(Func<T> action)
    {
        optimizer.SwapAverage();
        try
        {
            return action();
        }
        finally
        {
            optimizer.SwapAverage();
        }
    }

    private (Tensor Codes, Tensor Labels) HeldOut(int first, int count)
    {
        var codes = new long[(long)count * model.Config.CodesPerImage];
        var labels = new long[count];
        batches.FillHeldOut(first, codes, labels);
        return (tensor(codes, [count, model.Config.CodesPerImage]), tensor(labels, [count])); // [B, T], [B]
    }
}
