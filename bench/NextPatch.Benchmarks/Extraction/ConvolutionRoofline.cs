using System.Diagnostics;
using NextPatch.Core.Configuration;
using static TorchSharp.torch;
using static TorchSharp.torch.nn;

namespace NextPatch.Benchmarks.Extraction;

// Shape letters used in this file: I and O channels in and out, k kernel side, s pixels per side of the output.

/// <summary>
/// The convolutions of a VQGAN encoder by themselves, with its own shapes: the time that it cannot go below without other arithmetic.
/// </summary>
/// <remarks>Products of attention are not counted, so that the roofline is lower and the demand stricter.</remarks>
internal sealed class ConvolutionRoofline
{
    private const int Runs = 3;
    private readonly ScalarType _type;
    private readonly Dictionary<(long I, long O, long K, long Side, long Stride), int> _layers = [];

    /// <param name="config">The tokenizer.</param>
    /// <param name="type">Element type.</param>
    public ConvolutionRoofline(TokenizerConfig config, ScalarType type)
    {
        _type = type;
        var (side, channels) = ((long)config.ImageSide, config.Channels);
        var inputs = (long)(config.BaseChannels ?? channels[0]);
        Add(3, inputs, 3, side);
        for (var level = 0; level < channels.Count; level++)
        {
            var isLast = level == channels.Count - 1;
            for (var block = 0; block < config.BlockCounts[level]; block++)
            {
                AddBlock(inputs, channels[level], side, isLast);
                inputs = channels[level];
            }

            if (!isLast)
            {
                side /= 2;
                Add(channels[level], channels[level], 3, side, stride: 2);
            }
        }

        AddBlock(channels[^1], channels[^1], side, hasAttention: true);
        AddBlock(channels[^1], channels[^1], side, hasAttention: false);
        Add(channels[^1], config.LatentChannels, 3, side);
        Add(config.LatentChannels, config.CodeWidth, 1, side);
    }

    /// <summary>Floating-point operations for one image.</summary>
    public double Flops => _layers.Sum(l => 2.0 * l.Value * l.Key.I * l.Key.O * l.Key.K * l.Key.K * l.Key.Side * l.Key.Side);

    /// <summary>Seconds for one image, each shape at the best of three.</summary>
    public double Measure()
    {
        using var inference = inference_mode();
        return _layers.Sum(l => l.Value * Measure(l.Key));
    }

    private double Measure((long I, long O, long K, long Side, long Stride) layer)
    {
        using var scope = NewDisposeScope();
        var (padding, input) = layer.Stride == 1 ? (layer.K / 2, layer.Side) : (0, (layer.Side * 2) + 1);
        var x = ChannelsLast(randn(1, layer.I, input, input).to(_type));
        var weight = ChannelsLast((randn(layer.O, layer.I, layer.K, layer.K) * 0.02).to(_type));
        var bias = zeros(layer.O, _type);
        var best = double.MaxValue;
        for (var run = 0; run < Runs; run++)
        {
            var started = Stopwatch.GetTimestamp();
            using var y = functional.conv2d(x, weight, bias, [layer.Stride, layer.Stride], [padding, padding]);
            best = Math.Min(best, Stopwatch.GetElapsedTime(started).TotalSeconds);
        }

        return best;
    }

    private void AddBlock(long inputs, long outputs, long side, bool hasAttention)
    {
        Add(inputs, outputs, 3, side);
        Add(outputs, outputs, 3, side);
        if (inputs != outputs)
        {
            Add(inputs, outputs, 1, side);
        }

        for (var i = 0; hasAttention && i < 4; i++)
        {
            Add(outputs, outputs, 1, side);
        }
    }

    private void Add(long inputs, long outputs, long kernel, long side, long stride = 1)
        => _layers[(inputs, outputs, kernel, side, stride)] = _layers.GetValueOrDefault((inputs, outputs, kernel, side, stride)) + 1;

    private static Tensor ChannelsLast(Tensor x) => x.permute(0, 2, 3, 1).contiguous().permute(0, 3, 1, 2);
}
