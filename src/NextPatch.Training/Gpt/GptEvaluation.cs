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
    /// <summary>Mean loss of held-out images at patch side 1, in nats.</summary>
    /// <param name="images">How many, spread evenly over those that there are; 0 = all.</param>
    /// <param name="cancellation">Ends it without a result.</param>
    /// <returns>Null without held-out images, or when cancelled on the way.</returns>
    public double? Loss(int images = 0, CancellationToken cancellation = default)
        => batches.HeldOutCount == 0 ? null : InEvaluationMode(() =>
        {
            var judged = images == 0 ? batches.HeldOutCount : Math.Min(images, batches.HeldOutCount);
            using var noGrad = no_grad();
            var grouping = new MeanPatchGrouping(new PatchGeometry(model.Config.GridSide, 1));
            var total = 0.0;
            for (var first = 0; first < judged && !cancellation.IsCancellationRequested; first += batchSize)
            {
                using var scope = NewDisposeScope();
                var count = Math.Min(batchSize, judged - first);
                var (codes, labels) = HeldOut([.. Enumerable.Range(first, count).Select(i => (int)((long)i * batches.HeldOutCount / judged))]);
                var hidden = model.PatchHidden(labels, codes, grouping);
                total += PatchLoss.Evaluate(hidden, model.Head, grouping.Targets(codes)).item<float>() * count;
            }

            return cancellation.IsCancellationRequested ? default(double?) : total / judged;
        });

    /// <summary><see cref="Loss"/> of the weight average over all held-out images.</summary>
    /// <returns>Null also where there is no average.</returns>
    public double? AverageLoss(CancellationToken cancellation)
        => optimizer.HasAverage && !cancellation.IsCancellationRequested ? WithAverage(() => Loss(cancellation: cancellation)) : null;

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

    private (Tensor Codes, Tensor Labels) HeldOut(ReadOnlySpan<int> images)
    {
        var codes = new long[(long)images.Length * model.Config.CodesPerImage];
        var labels = new long[images.Length];
        batches.FillHeldOut(images, codes, labels);
        return (tensor(codes, [images.Length, model.Config.CodesPerImage]), tensor(labels, [images.Length])); // [B, T], [B]
    }
}
