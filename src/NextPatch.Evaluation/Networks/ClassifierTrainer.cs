using NextPatch.Core;
using NextPatch.Core.Sampling;
using NextPatch.Data.Sources;
using NextPatch.Torch.Tokenizer;
using static TorchSharp.torch;

namespace NextPatch.Evaluation.Networks;

// Shape letters used in this file: B batch, S pixels per side.

/// <summary>Trains a <see cref="SmallClassifier"/> on real images.</summary>
/// <remarks>
/// Held-out images decide when to stop, so their accuracy is slightly flattering. What it is used for, the agreement on generated
/// images, is not touched by that. Everything random is a function of (seed, step): two runs on one machine end with equal weights.
/// </remarks>
internal static class ClassifierTrainer
{
    private const int ReportInterval = 10;

    /// <param name="data">Images to learn from, and held-out ones that decide when to stop.</param>
    /// <param name="config">Settings; validated here.</param>
    /// <param name="heldOutAccuracy">Share of held-out images that the result classifies right.</param>
    /// <param name="progress">Told now and then, and after every round.</param>
    /// <param name="cancellation">Checked before every step.</param>
    /// <returns>The classifier after its last round; the caller disposes it.</returns>
    /// <exception cref="ConfigException">Settings that cannot work, or no image.</exception>
    /// <exception cref="NextPatchException">The loss is not a finite number.</exception>
    public static SmallClassifier Train(
        DatasetSplit data,
        ClassifierTrainingConfig config,
        out double heldOutAccuracy,
        IProgress<ClassifierProgress>? progress = null,
        CancellationToken cancellation = default)
    {
        config.Validate();
        if (data.Train.Count == 0 || data.HeldOut.Count == 0)
        {
            throw new ConfigException(
                $"The classifier needs images: dataset '{data.Train.Name}' has {data.Train.Count} to train on and {data.HeldOut.Count} held out.");
        }

        var classifier = new SmallClassifier(data.Train.Side, data.Train.ClassNames.Count, config.Seed);
        try
        {
            using var optimizer = optim.AdamW(classifier.parameters(), config.LearningRate, weight_decay: 0.01);
            var done = 0;
            for (var round = 0; ; round++)
            {
                var steps = config.RoundSteps << round;
                var loss = RunRound(
                    classifier, optimizer, data.Train, config, done, steps, config.LearningRate / (1 << round), progress, cancellation);
                done += steps;
                heldOutAccuracy = classifier.Classify(data.HeldOut.Pixels, cancellation).AgreementWith(data.HeldOut.Labels);
                progress?.Report(new ClassifierProgress(done, config.MaximumSteps, loss, heldOutAccuracy));
                if (heldOutAccuracy >= config.TargetAccuracy || round + 1 == config.MaximumRounds)
                {
                    return classifier;
                }
            }
        }
        catch
        {
            classifier.Dispose();
            throw;
        }
    }

    private static double RunRound(
        SmallClassifier classifier, optim.Optimizer optimizer, ImageDataset data, ClassifierTrainingConfig config,
        int firstStep, int steps, double learningRate, IProgress<ClassifierProgress>? progress, CancellationToken cancellation)
    {
        var random = new CounterRandom(config.Seed, RandomStream.Evaluation);
        var (lossSum, lossCount) = (0.0, 0);
        for (var step = 0; step < steps; step++)
        {
            cancellation.ThrowIfCancellationRequested();
            foreach (var group in optimizer.ParamGroups)
            {
                group.LearningRate = learningRate * (steps - step) / steps;
            }

            var loss = Step(classifier, optimizer, data, Pick(random, data.Count, config.BatchSize, firstStep + step));
            if (!double.IsFinite(loss))
            {
                throw new NextPatchException(
                    $"The classifier's loss became {loss} at step {firstStep + step + 1}; expected a finite number. Train with a lower learning "
                        + $"rate (now {learningRate}).");
            }

            if ((step + 1) % ReportInterval == 0)
            {
                progress?.Report(new ClassifierProgress(firstStep + step + 1, config.MaximumSteps, loss, null));
            }

            if (step >= steps - Math.Max(1, steps / 10))
            {
                (lossSum, lossCount) = (lossSum + loss, lossCount + 1);
            }
        }

        return lossSum / lossCount;
    }

    private static double Step(SmallClassifier classifier, optim.Optimizer optimizer, ImageDataset data, int[] indices)
    {
        using var scope = NewDisposeScope();
        var images = ImageTensors.Gather(data.Pixels, data.Side, indices);                     // [B, 3, S, S]
        var labels = tensor(Array.ConvertAll(indices, i => (long)data.Labels[i]));             // [B]
        var loss = nn.functional.cross_entropy(classifier.forward(images), labels);
        optimizer.zero_grad();
        loss.backward();
        optimizer.step();
        return loss.item<float>();
    }

    private static int[] Pick(CounterRandom random, int count, int batch, int step)
        => [.. Enumerable.Range(0, batch).Select(i => random.Below(count, step, i))];
}

/// <summary>Where a classifier training stands.</summary>
/// <param name="Steps">Steps done in all rounds.</param>
/// <param name="MaximumSteps">Steps if every round runs.</param>
/// <param name="Loss">Cross entropy in nats: of this step, or after a round the mean of its last tenth.</param>
/// <param name="HeldOutAccuracy">Share of held-out images classified right, measured after each round; null in between.</param>
internal sealed record ClassifierProgress(int Steps, int MaximumSteps, double Loss, double? HeldOutAccuracy);
