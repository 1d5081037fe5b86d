using System.Diagnostics;
using NextPatch.Core.Configuration;
using static TorchSharp.torch;

namespace NextPatch.Torch.Precision;

/// <summary>Chooses between fp32 and bf16 by what the processor has and by a convolution of the tokenizer's own size, forward and backward.</summary>
internal static class ConvolutionMeasurement
{
    // Enough to be timed, and few enough for milliseconds.
    private const int MostPositions = 4096;

    /// <summary>Narrower tokenizers gain too little: steps with 32 channels were 1.1 times as fast, with 16 slower (docs/results.md).</summary>
    private const int FewestChannels = 64;

    /// <param name="tokenizer">Its innermost level is measured.</param>
    /// <param name="batchSize">Images per step.</param>
    /// <param name="hasBf16">Whether the processor has bf16 dot products or tiles; without them bf16 is not even tried.</param>
    /// <returns>The precision, and a sentence that says why.</returns>
    public static (ComputePrecision Precision, string Reason) Choose(TokenizerConfig tokenizer, int batchSize, bool hasBf16)
    {
        var (channels, side) = (tokenizer.Channels[^1], tokenizer.GridSide);
        if (hasBf16 && channels < FewestChannels)
        {
            return (ComputePrecision.Fp32, $"Precision: fp32, because the tokenizer has fewer than {FewestChannels} channels (auto).");
        }

        var batch = Math.Clamp(MostPositions / (side * side), 1, batchSize);
        var flops = 3 * 2.0 * 9 * channels * channels * side * side * batch;
        return PrecisionMeasurement.Choose(
            hasBf16, type => () => Seconds(type, batch, channels, side), flops, $"convolutions of {channels} channels");
    }

    private static double Seconds(ScalarType type, int batch, int channels, int side)
    {
        using var scope = NewDisposeScope();
        var x = ones(batch, channels, side, side, type).requires_grad_(true);
        var weight = ones(channels, channels, 3, 3, type).requires_grad_(true);
        var upstream = ones_like(x);
        var started = Stopwatch.GetTimestamp();
        autograd.grad([nn.functional.conv2d(x, weight, padding: [1, 1])], [x, weight], [upstream]);
        return Stopwatch.GetElapsedTime(started).TotalSeconds;
    }
}
