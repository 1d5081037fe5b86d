using System.Diagnostics;
using NextPatch.Core.Configuration;
using static TorchSharp.torch;

namespace NextPatch.Torch.Convolutions;

/// <summary>Chooses between fp32 and bf16 by what the processor has and by a convolution of the tokenizer's own size, forward and backward.</summary>
public static class ConvolutionMeasurement
{
    private const int Runs = 8;

    /// <summary>Below this gain bf16 is not worth its rounding.</summary>
    private const double WorthIt = 1.3;

    // Larger ones only take longer to tell the same.
    private const int LargestBatch = 16;
    private const int LargestSide = 64;

    /// <param name="tokenizer">Its innermost level is measured.</param>
    /// <param name="batchSize">Images per step.</param>
    /// <param name="hasBf16">Whether the processor has bf16 dot products or tiles; without them bf16 is not even tried.</param>
    /// <returns>The precision, and a sentence that says why.</returns>
    public static (ComputePrecision Precision, string Reason) Choose(TokenizerConfig tokenizer, int batchSize, bool hasBf16)
    {
        if (!hasBf16)
        {
            return (ComputePrecision.Fp32, "Precision: fp32, because the processor has no bf16 dot products (auto).");
        }

        var (channels, side) = (tokenizer.Channels[^1], Math.Min(tokenizer.GridSide, LargestSide));
        var shape = (Batch: Math.Min(batchSize, LargestBatch), channels, side);
        double fp32 = double.MaxValue, bf16 = double.MaxValue;
        for (var run = 0; run < Runs; run++)
        {
            // In turns, and the best of each: other programs disturb, and the first run starts threads and compiles kernels.
            fp32 = Math.Min(fp32, Seconds(shape, ScalarType.Float32));
            bf16 = Math.Min(bf16, Seconds(shape, ScalarType.BFloat16));
        }

        var flops = 3 * 2.0 * 9 * channels * channels * side * side * shape.Batch;
        var chosen = fp32 / bf16 >= WorthIt ? ComputePrecision.Bf16 : ComputePrecision.Fp32;
        return (chosen, $"Precision: {(chosen == ComputePrecision.Bf16 ? "bf16" : "fp32")}, because convolutions of {channels} channels run at {flops / fp32 / 1e9:F0} GFLOP/s in fp32 and {flops / bf16 / 1e9:F0} in bf16, forward and backward (auto).");
    }

    private static double Seconds((int Batch, int Channels, int Side) shape, ScalarType type)
    {
        using var scope = NewDisposeScope();
        var x = ones(shape.Batch, shape.Channels, shape.Side, shape.Side, type).requires_grad_(true);
        var weight = ones(shape.Channels, shape.Channels, 3, 3, type).requires_grad_(true);
        var started = Stopwatch.GetTimestamp();
        var y = nn.functional.conv2d(x, weight, padding: [1, 1]);
        autograd.grad([y], [x, weight], [ones_like(y)]);
        return Stopwatch.GetElapsedTime(started).TotalSeconds;
    }
}
