using NextPatch.Core.Files;
using NextPatch.Core.Generation;
using NextPatch.Torch.Generation;
using NextPatch.Torch.Gpt;
using NextPatch.Training.Ranks;
using NextPatch.Training.Runs;

namespace NextPatch.Training.Gpt;

/// <summary>What is asked of a model between its training steps. Weights and mode are afterwards as they were.</summary>
/// <param name="model">The model that is trained.</param>
/// <param name="step">Judges images, and its optimiser holds the EMA.</param>
/// <param name="batches">Gives the held-out images.</param>
/// <param name="batchSize">Images per forward pass.</param>
/// <param name="ranks">Who shares the held-out images; all of them call every member. What is drawn, rank 0 draws.</param>
internal sealed class GptEvaluation(GptModel model, GptStep step, BatchSource batches, int batchSize, ICommunicator ranks)
{
    /// <summary>Mean loss of held-out images, in nats.</summary>
    /// <param name="images">How many, spread evenly over those that there are; 0 = all.</param>
    /// <param name="patchSide">Side of the patches that are predicted; 1 = single codes, what runs are judged by.</param>
    /// <param name="cancellation">Ends it without a result.</param>
    /// <returns>Null without held-out images, or when cancelled on the way.</returns>
    public double? Loss(int images = 0, int patchSide = 1, CancellationToken cancellation = default)
    {
        ArgumentOutOfRangeException.ThrowIfNegative(images);
        var judged = images == 0 ? batches.HeldOutCount : Math.Min(images, batches.HeldOutCount);
        var total = 0.0;
        for (var first = ranks.Rank * batchSize; first < judged && !cancellation.IsCancellationRequested; first += ranks.Size * batchSize)
        {
            var chosen = Enumerable.Range(first, Math.Min(batchSize, judged - first)).Select(
                i => (int)((long)i * batches.HeldOutCount / judged)).ToArray();
            var (labels, codes) = (new long[chosen.Length], new long[(long)chosen.Length * model.Config.CodesPerImage]); // [B], [B, T]
            var captions = batches.FillHeldOut(chosen, codes, labels);
            total += step.Evaluate(labels, codes, patchSide, captions) * chosen.Length;
        }

        total = ranks.Sum(total, "the loss of held-out images");
        return judged == 0 || cancellation.IsCancellationRequested ? null : total / judged;
    }

    /// <summary><see cref="Loss"/> of the EMA weights at patch side 1.</summary>
    /// <returns>Null also where there is no average.</returns>
    public double? AverageLoss(int images, CancellationToken cancellation)
        => step.Optimizer.HasAverage && !cancellation.IsCancellationRequested ? WithAverage(() => Loss(images, cancellation: cancellation)) : null;

    /// <summary>Measures images that the EMA weights draw, or the trained ones where there is no EMA.</summary>
    /// <param name="metric">Rank 0's; the others have none.</param>
    /// <param name="cancellation">Ends it without a result.</param>
    /// <returns>Figures by name, none on other ranks than the first; null when cancelled.</returns>
    public IReadOnlyDictionary<string, double>? Measure(IGenerationMetric? metric, CancellationToken cancellation)
    {
        IReadOnlyDictionary<string, double> Draw() => ByWriter(() => InEvaluationMode(() =>
        {
            using var engine = new TorchGenerationEngine(model, ownsModel: false);
            return metric!.Measure(engine, cancellation);
        })) ?? new Dictionary<string, double>();
        try
        {
            return step.Optimizer.HasAverage ? WithAverage(Draw) : Draw();
        }
        catch (OperationCanceledException)
        {
            return null;
        }
    }

    /// <summary>Lends the model, in evaluation mode, to who draws samples; a full disk leaves them out.</summary>
    public void Sample(GptRunOptions options, long at, MetricsLog log)
    {
        try
        {
            ByWriter(() => InEvaluationMode(() =>
            {
                options.OnSample?.Invoke(at, model);
                if (options.DrawGrid?.Invoke(at, model) is { } png)
                {
                    log.Events?.AddImage(at, "samples", png);
                }

                return "drawn";
            }));
        }
        catch (Exception e) when (DiskTrouble.Is(e))
        {
            options.OnNote?.Invoke($"The sample grid of step {at} could not be written: {e.Message}");
        }
    }

    /// <summary>What rank 0 does while the others wait; null there.</summary>
    private T? ByWriter<T>(Func<T> action)
        where T : class
    {
        var result = default(T);
        step.WithWriter(() => result = action());
        return result;
    }

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
        step.SwapAverage();
        try
        {
            return action();
        }
        finally
        {
            step.SwapAverage();
        }
    }
}
