using NextPatch.Core.Checkpoints.Safetensors;
using NextPatch.Core.Configuration;
using NextPatch.Core.Tensors;
using NextPatch.Training.Gpt;

namespace NextPatch.Training.Tests.Gpt;

[NoTensorLeaks]
public sealed class PrecisionTests
{
    private static readonly TrainingConfig Bf16 = TinyRun.Training with { Precision = ComputePrecision.Bf16, MicroBatch = 2 };

    [Fact]
    public void A_resumed_bf16_run_ends_with_the_same_bytes_and_stores_float()
    {
        using var folder = new TemporaryFolder();
        var (codes, config) = (TinyRun.WriteCodes(folder["codes"]), TinyRun.Config(Bf16));
        var whole = TinyRun.Train(codes, new GptRunOptions { Output = folder["whole"] }, config);
        using var stop = new CancellationTokenSource();
        TinyRun.Train(codes, new GptRunOptions { Output = folder["parts"], LogEvery = 1, OnProgress = p => StopAt(p, 8, stop) }, config, stop.Token);
        var resumed = TinyRun.Train(codes, new GptRunOptions { Output = folder["parts"], Resume = true }, config);
        Assert.Equal(TinyRun.Weights(whole.Checkpoint!), TinyRun.Weights(resumed.Checkpoint!));
        Assert.Equal(TinyRun.Weights(whole.Checkpoint!, "optimizer"), TinyRun.Weights(resumed.Checkpoint!, "optimizer"));
        Assert.All(SafetensorsFile.Read(Path.Combine(whole.Checkpoint!, "model.safetensors")).Values, t => Assert.Equal(ElementType.Float32, t.Type));
    }

    [Fact]
    public void Bf16_learns_what_float_learns()
    {
        using var folder = new TemporaryFolder();
        var codes = TinyRun.WriteCodes(folder["codes"]);
        var wide = TinyRun.Train(
            codes, new GptRunOptions
            {
                Output = folder["a"],
            }, TinyRun.Config(TinyRun.Training with { Steps = 80, EmaDecay = 0.99, EmaWarmup = false }));
        var narrow = TinyRun.Train(
            codes, new GptRunOptions { Output = folder["b"] }, TinyRun.Config(Bf16 with { Steps = 80, EmaDecay = 0.99, EmaWarmup = false }));
        Assert.Equal(wide.ValidationLoss!.Value, narrow.ValidationLoss!.Value, 0.1);
        Assert.Equal(wide.AverageValidationLoss!.Value, narrow.AverageValidationLoss!.Value, 0.1); // so the bf16 copies were the average's
        Assert.True(wide.AverageValidationLoss > wide.ValidationLoss + 0.2, "the average is far behind, or nothing was compared");
    }

    [Fact]
    public void Recomputed_activations_do_not_change_a_run()
    {
        using var folder = new TemporaryFolder();
        var codes = TinyRun.WriteCodes(folder["codes"]);
        var kept = TinyRun.Train(codes, new GptRunOptions { Output = folder["a"] });
        var recomputed = TinyRun.Train(codes, new GptRunOptions { Output = folder["b"], Recompute = true });
        Assert.Equal(TinyRun.Weights(kept.Checkpoint!), TinyRun.Weights(recomputed.Checkpoint!));
    }

    private static void StopAt(TrainingProgress progress, long step, CancellationTokenSource stop)
    {
        if (progress.Step == step)
        {
            stop.Cancel();
        }
    }
}
