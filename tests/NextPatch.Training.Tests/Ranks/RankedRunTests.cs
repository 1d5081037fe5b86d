using NextPatch.Core;
using NextPatch.Core.Checkpoints;
using NextPatch.Core.Checkpoints.Safetensors;
using NextPatch.Core.Configuration;
using NextPatch.Data.Codes;
using NextPatch.Torch.Gpt;
using NextPatch.Training.Gpt;
using NextPatch.Training.Ranks;
using NextPatch.Training.Tests.Gpt;

namespace NextPatch.Training.Tests.Ranks;

public sealed class RankedRunTests
{
    private static readonly string[] Files = ["model", "ema", "optimizer"];

    /// <summary>
    /// Dropout, drop path, micro-batches that ranks cut, two patch sides. AdamW divides by the root of squares that are near zero for some weights,
    /// so rounding grows: the first steps are compared closely, the last loss to four digits.
    /// </summary>
    [Theory]
    [InlineData(2, 0)]
    [InlineData(3, 2)]
    [InlineData(4, 3)]
    public void Ranks_compute_the_run_of_one(int size, int microBatch)
    {
        using var folder = new TemporaryFolder();
        var codes = TinyRun.WriteCodes(folder["codes"]);
        var config = TinyRun.Config(TinyRun.Training with { MicroBatch = microBatch }, TinyRun.Model with { DropPath = 0.2 });
        var (alone, losses) = Train(1, codes, folder["alone"], config);
        var (together, rankedLosses) = Train(size, codes, folder["together"], config);

        for (var step = 0; step < losses.Count; step++)
        {
            Assert.Equal(losses[step], rankedLosses[step], step < 3 ? 1e-5 : 1e-3);
        }

        Assert.Equal(alone.ValidationLoss!.Value, together.ValidationLoss!.Value, 1e-3);
        Assert.Equal(alone.AverageValidationLoss!.Value, together.AverageValidationLoss!.Value, 1e-3);
        foreach (var file in Files)
        {
            var (expected, found) = (Read(alone, file), Read(together, file));
            Assert.Equal(expected.Keys, found.Keys);
            Assert.All(expected, t => Assert.Equal(t.Value.Shape, found[t.Key].Shape));
        }
    }

    [Fact]
    public void One_step_of_two_ranks_is_that_of_one()
    {
        using var folder = new TemporaryFolder();
        var codes = TinyRun.WriteCodes(folder["codes"]);
        var config = TinyRun.Config(TinyRun.Training with { Steps = 2, AdamEpsilon = 1e-3 });
        var (alone, _) = Train(1, codes, folder["alone"], config);
        var (together, _) = Train(2, codes, folder["together"], config);
        foreach (var file in Files)
        {
            var (expected, found) = (Read(alone, file), Read(together, file));
            Assert.All(expected, t => AssertClose(t.Value.AsSpan<float>(), found[t.Key].AsSpan<float>(), 2e-6f, $"{file} {t.Key}"));
        }
    }

    [Fact]
    public void As_many_ranks_again_end_with_the_same_bytes()
    {
        using var folder = new TemporaryFolder();
        var codes = TinyRun.WriteCodes(folder["codes"]);
        var (first, _) = Train(3, codes, folder["first"]);
        var (second, _) = Train(3, codes, folder["second"]);
        Assert.All(Files, file => Assert.Equal(TinyRun.Weights(first.Checkpoint!, file), TinyRun.Weights(second.Checkpoint!, file)));
    }

    /// <summary>Weights of models on GPUs are updated in the processor's memory. A processor's model stands for one here.</summary>
    [Fact]
    public void A_copy_of_the_weights_is_updated_as_they_are_themselves()
    {
        using var folder = new TemporaryFolder();
        var codes = TinyRun.WriteCodes(folder["codes"]);
        var training = TinyRun.Training with { StepImplementation = StepImplementation.Reference, MicroBatch = 2 };
        float[][] Train(bool hasHostCopy) => LocalRanks.Run(2, ranks =>
        {
            using var store = CodeStore.Open(codes);
            using var model = new GptModel(TinyRun.Model);
            GptInitializer.Initialize(model, 1);
            using var step = new GptStep(model, training, new BatchSource(store, TinyRun.Model, 1), false, ranks, hasHostCopy: hasHostCopy);
            for (var i = 0; i < 3; i++)
            {
                Assert.True(step.Run(i, i * 6, [new GptStepPart(2, 2), new GptStepPart(1, 4)], 1e-2).IsTaken);
            }

            GptInitializer.Initialize(model, 2); // as a checkpoint does
            step.RefreshCopies();
            step.Run(3, 18, [new GptStepPart(1, 6)], 1e-2);
            var weights = Weights(model);
            step.SwapAverage();
            return (float[])[.. weights, .. Weights(model)];
        });

        var (plain, copied) = (Train(false), Train(true));
        Assert.Equal(plain[0], plain[1]);
        Assert.Equal(plain, copied);
    }

    [Fact]
    public void Each_rank_of_a_machine_takes_its_own_gpu()
    {
        string[] devices = ["cpu", "cuda:0", "cuda:1"];
        Assert.Equal("cuda:1", new RankPlacement(1, 2, 4).DeviceFor("cuda", devices));
        Assert.Equal("cuda:0", new RankPlacement(1, 2, 1).DeviceFor("cuda:0", devices));
        Assert.Equal("cpu", new RankPlacement(7, 8, 1).DeviceFor("cpu", devices));
        var refused = Assert.Throws<ConfigException>(() => new RankPlacement(0, 3, 1).DeviceFor("cuda", devices));
        Assert.Contains("3 ranks were started on this machine, which has 2 GPUs", refused.Message, StringComparison.Ordinal);
        var placed = LocalRanks.Run(3, RankPlacement.Find);
        Assert.Equal([new(0, 3, 1), new(1, 3, 1), new(2, 3, 1)], placed);
    }

    /// <summary>Only rank 1 is asked to stop; all stop after the same step, and the run that goes on ends with the same bytes.</summary>
    [Fact]
    public void A_run_that_one_rank_was_asked_to_stop_goes_on_with_the_same_bytes()
    {
        using var folder = new TemporaryFolder();
        var codes = TinyRun.WriteCodes(folder["codes"]);
        var (whole, _) = Train(2, codes, folder["whole"]);
        using var stop = new CancellationTokenSource();
        stop.Cancel();
        var stopped = LocalRanks.Run(2, ranks => TinyRun.Train(
            codes, new GptRunOptions { Output = folder["parts"], Ranks = ranks }, cancellation: ranks.Rank == 1 ? stop.Token : default));
        Assert.All(stopped, r => Assert.Equal((1, false), (r.Step, r.IsComplete)));
        var (rest, _) = Train(2, codes, folder["parts"]);
        Assert.All(Files, file => Assert.Equal(TinyRun.Weights(whole.Checkpoint!, file), TinyRun.Weights(rest.Checkpoint!, file)));
    }

    [Fact]
    public void A_run_goes_on_on_another_number_of_ranks()
    {
        using var folder = new TemporaryFolder();
        var codes = TinyRun.WriteCodes(folder["codes"]);
        var config = TinyRun.Config(TinyRun.Training with { Steps = 12, LearningRate = 1e-3 });
        var (alone, losses) = Train(1, codes, folder["alone"], config);
        var found = new List<double>();
        foreach (var (size, stopAfter) in new[] { (4, 4), (2, 8), (1, 12) })
        {
            using var stop = new CancellationTokenSource();
            LocalRanks.Run(size, ranks => TinyRun.Train(codes, new GptRunOptions
            {
                Output = folder["parts"], Resume = true, LogEvery = 1, Ranks = ranks,
                OnProgress = ranks.Rank > 0 ? null : p =>
                {
                    found.Add(p.Loss);
                    if (p.Step == stopAfter - (size > 1 ? 1 : 0)) // ranks agree on it in the step after
                    {
                        stop.Cancel();
                    }
                },
            }, config, ranks.Rank == 0 ? stop.Token : default));
        }

        Assert.Equal(losses.Count, found.Count);
        Assert.All(losses.Zip(found), l => Assert.Equal(l.First, l.Second, 1e-3));
        Assert.Equal("step-00000012", new CheckpointFolder(folder["parts"]).All()[^1]);
    }

    /// <summary>Each value is rounded once before it travels; bf16 has eight bits.</summary>
    [Fact]
    public void Gradients_in_bf16_train_nearly_the_same()
    {
        using var folder = new TemporaryFolder();
        var codes = TinyRun.WriteCodes(folder["codes"]);
        var (exact, losses) = Train(2, codes, folder["fp32"]);
        var (rounded, bf16Losses) = Train(2, codes, folder["bf16"], bf16Gradients: true);
        Assert.Equal(losses[1], bf16Losses[1], 1e-2);
        Assert.Equal(exact.ValidationLoss!.Value, rounded.ValidationLoss!.Value, 0.1);
        Assert.NotEqual(TinyRun.Weights(exact.Checkpoint!), TinyRun.Weights(rounded.Checkpoint!));
    }

    [Fact]
    public void Other_settings_on_a_rank_are_refused()
    {
        using var folder = new TemporaryFolder();
        var codes = TinyRun.WriteCodes(folder["codes"]);
        var e = Assert.Throws<RankFailureException>(() => LocalRanks.Run(3, ranks => TinyRun.Train(
            codes, new GptRunOptions { Output = folder["run"], Ranks = ranks },
            TinyRun.Config(TinyRun.Training with { Seed = ranks.Rank == 2 ? 6u : 5u }))));
        Assert.StartsWith("Rank 2 has other settings than rank 0.", e.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void Other_codes_on_a_rank_are_refused()
    {
        using var folder = new TemporaryFolder();
        string[] codes = [TinyRun.WriteCodes(folder["codes"]), TinyRun.WriteCodes(folder["others"])];
        var file = Path.Combine(codes[1], "codes.npy");
        var bytes = File.ReadAllBytes(file);
        bytes[^(2 * TinyRun.Grid * TinyRun.Grid)] ^= 1; // one code of the last image
        File.WriteAllBytes(file, bytes);
        var e = Assert.Throws<RankFailureException>(() => LocalRanks.Run(2, ranks => TinyRun.Train(
            codes[ranks.Rank], new GptRunOptions { Output = folder["run"], Ranks = ranks })));
        Assert.StartsWith("Rank 1 has other codes than rank 0.", e.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void More_ranks_than_images_in_a_step_are_refused()
    {
        using var folder = new TemporaryFolder();
        var codes = TinyRun.WriteCodes(folder["codes"]);
        var e = Assert.Throws<RankFailureException>(() => Train(7, codes, folder["run"]));
        Assert.Contains("6 images, which 7 ranks cannot share", e.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void A_rank_at_another_step_is_named()
    {
        var e = Assert.Throws<RankFailureException>(() => LocalRanks.Run(
            3, ranks => new StepReport(ranks.Rank == 1 ? 8 : 7, 70, 1, 1, 0, StepWishes.None).Exchange(ranks)));
        Assert.StartsWith("Rank 1 computed step 8 from image 70 of the stream on, rank 0 step 7", e.Message, StringComparison.Ordinal);
    }

    private static IEnumerable<float> Weights(GptModel model) => model.parameters().SelectMany(p => p.data<float>().ToArray());

    private static (TrainingResult Result, IReadOnlyList<double> Losses) Train(
        int size, string codes, string output, CheckpointConfig? config = null, bool bf16Gradients = false)
    {
        var losses = new List<double>();
        var results = LocalRanks.Run(size, ranks => TinyRun.Train(codes, new GptRunOptions
        {
            Output = output, Resume = true, LogEvery = 1, Ranks = ranks, Bf16Gradients = bf16Gradients,
            OnProgress = ranks.Rank == 0 ? p => losses.Add(p.Loss) : null,
        }, config));
        Assert.All(results, r => Assert.Equal(results[0].Step, r.Step));
        return (results[0], losses);
    }

    private static IReadOnlyDictionary<string, Core.Tensors.HostTensor> Read(TrainingResult result, string file)
        => SafetensorsFile.Read(Path.Combine(result.Checkpoint!, file + ".safetensors"));

    private static void AssertClose(ReadOnlySpan<float> expected, ReadOnlySpan<float> found, float tolerance, string what)
    {
        for (var i = 0; i < expected.Length; i++)
        {
            Assert.True(Math.Abs(expected[i] - found[i]) <= tolerance, $"{what}[{i}]: {expected[i]} and {found[i]}");
        }
    }
}
