using NextPatch.Core;
using NextPatch.Data.Sources;
using NextPatch.Evaluation.Metrics;
using NextPatch.Evaluation.Networks;
using NextPatch.Torch.Loading;

namespace NextPatch.Evaluation.Tests.Networks;

[NoTensorLeaks]
public sealed class ClassifierTrainerTests
{
    private static readonly ClassifierTrainingConfig Short = new() { RoundSteps = 12, BatchSize = 16, MaximumRounds = 3, TargetAccuracy = 1 };

    [Fact]
    public void Easy_classes_are_learned_and_metrics_of_real_images_are_perfect()
    {
        var data = Squares();
        var reports = new List<ClassifierProgress>();
        using var classifier = ClassifierTrainer.Train(data, Short, out var accuracy, new Listener(reports.Add));
        Assert.Equal(1, accuracy);
        Assert.Equal(accuracy, reports[^1].HeldOutAccuracy);

        // Half of the requested classes are wrong: agreement counts exactly the other half.
        var samples = new ImageDataset
        {
            Name = "samples", Side = 8, ClassNames = data.Train.ClassNames, Pixels = data.HeldOut.Pixels,
            Labels = [.. data.HeldOut.Labels.Select((l, i) => i < 20 ? l : (l + 1) % 2)],
        };
        var metrics = SampleMetrics.Compute(classifier, samples, data.HeldOut, data.HeldOut.Pixels, data.Train.Pixels);
        Assert.Equal((0.5, 1.0), (metrics.ClassAgreement, metrics.ReconstructionAgreement));
        Assert.InRange(metrics.Diversity!.Value, 0.8, 1.2);
        Assert.InRange(metrics.CopyRate, 0, 0.025);
    }

    [Fact]
    public void Rounds_end_at_the_target_or_at_the_last_one()
    {
        var reports = new List<ClassifierProgress>();
        ClassifierTrainer.Train(Squares(), Short with { RoundSteps = 2, TargetAccuracy = 1.1 }, out _, new Listener(reports.Add)).Dispose();
        Assert.Equal([2, 6, 14], reports.Select(r => r.Steps));
        reports.Clear();
        ClassifierTrainer.Train(Squares(), Short with { RoundSteps = 2, TargetAccuracy = 0 }, out _, new Listener(reports.Add)).Dispose();
        Assert.Equal([2], reports.Select(r => r.Steps));
    }

    [Fact]
    public void Two_runs_of_one_seed_end_with_equal_weights()
    {
        var config = Short with { RoundSteps = 3, MaximumRounds = 1 };
        Assert.Equal(WeightsAfter(config), WeightsAfter(config));
        Assert.NotEqual(WeightsAfter(config), WeightsAfter(config with { Seed = 1 }));
    }

    [Fact]
    public void Broken_settings_and_losses_are_named()
    {
        Assert.Equal(
            2, Assert.Throws<ConfigException>(
            () => ClassifierTrainer.Train(Squares(), Short with { RoundSteps = 0, LearningRate = 0 }, out _)).Problems.Count);
        var error = Assert.Throws<NextPatchException>(() => ClassifierTrainer.Train(Squares(), Short with { LearningRate = 1e30 }, out _));
        Assert.StartsWith("The classifier's loss became", error.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void Agreement_is_the_share_of_equal_labels()
    {
        Assert.Equal(0.75, new Classification([1, 2, 3, 4], []).AgreementWith([1, 2, 0, 4]));
        Assert.Throws<ArgumentException>(() => new Classification([1], []).AgreementWith([1, 2]));
    }

    private static byte[] WeightsAfter(ClassifierTrainingConfig config)
    {
        using var classifier = ClassifierTrainer.Train(Squares(), config, out _);
        return [.. StateLoader.Capture(classifier).SelectMany(p => p.Value.Bytes.ToArray())];
    }

    private static DatasetSplit Squares() => new(Draw(160, 0), Draw(40, 1));

    // 8x8: a red (0) or blue (1) square at one of sixteen places, in one of many shades.
    private static ImageDataset Draw(int count, int salt)
    {
        var pixels = new byte[count * 8 * 8 * 3];
        var labels = new int[count];
        for (var i = 0; i < count; i++)
        {
            labels[i] = i % 2;
            for (var p = 0; p < 16; p++)
            {
                var (x, y) = ((p % 4) + (i / 2 % 4), (p / 4) + (i / 8 % 4));
                pixels[(((i * 8) + y) * 8 * 3) + (x * 3) + (labels[i] * 2)] = (byte)(130 + ((i * 37) + (salt * 11)) % 120);
            }
        }

        return new ImageDataset { Name = "squares", Side = 8, ClassNames = ["red", "blue"], Pixels = pixels, Labels = labels };
    }

    private sealed class Listener(Action<ClassifierProgress> listen) : IProgress<ClassifierProgress>
    {
        public void Report(ClassifierProgress value) => listen(value);
    }
}
