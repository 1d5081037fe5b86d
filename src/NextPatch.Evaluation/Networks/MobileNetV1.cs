using NextPatch.Core;
using NextPatch.Torch.Perception;
using static TorchSharp.torch;
using static TorchSharp.torch.nn;

namespace NextPatch.Evaluation.Networks;

// Shape letters used in this file: B batch, C channels, h and w of a feature map.

/// <summary>MobileNet v1 (Howard et al., arXiv 1704.04861) of any width, with batch norms folded into its weights.</summary>
internal sealed class MobileNetV1 : FeatureNetwork
{
    private const int Blocks = 13;
    private const int FullWidth = 32;
    private const int PassImages = 32;
    private static readonly int[] Halving = [2, 4, 6, 12];

    private readonly List<(FrozenConvolution Convolution, int Kernel, int Stride)> _layers = [];
    private readonly FrozenConvolution _classes;

    /// <param name="weights"><c>conv0</c>, <c>block1</c> to <c>block13</c> with <c>dw</c> and <c>pw</c>, and <c>logits</c>, weight and bias
    /// each.</param>
    /// <param name="name">As figures carry it.</param>
    /// <param name="weightsHash">SHA-256 of the file.</param>
    /// <param name="side">Side of the images it was trained on, which the weights do not tell.</param>
    /// <param name="resize">How images get there.</param>
    /// <exception cref="DataFormatException">These are not its weights.</exception>
    public MobileNetV1(PretrainedWeights weights, string name, string weightsHash, int side, ResizeProtocol resize)
        : base(name, weightsHash, side, resize, PassImages)
    {
        try
        {
            var channels = Add(weights, "conv0", 3, 3, 2);
            for (var i = 1; i <= Blocks; i++)
            {
                Add(weights, $"block{i}.dw", channels, 3, Halving.Contains(i) ? 2 : 1, isDepthwise: true);
                channels = Add(weights, $"block{i}.pw", channels, 1, 1);
            }

            FeatureCount = channels;
            _classes = Own(FrozenConvolution.Read(weights, "logits", channels, -1, 1));
            weights.ExpectNoOthers();
        }
        catch
        {
            Dispose();
            throw;
        }
    }

    public override int FeatureCount { get; }

    public override int ClassCount => _classes.Outputs;

    /// <summary>Width of the network as a share of the full one.</summary>
    public static double WidthOf(PretrainedWeights weights) => (double)weights.ShapeOf("conv0.weight")[0] / FullWidth;

    protected override (Tensor Pooled, Tensor? Spatial, Tensor? Logits) Forward(Tensor levels)
    {
        using var scope = NewDisposeScope();
        var x = levels.sub(128).mul_(1 / 128f);
        foreach (var (convolution, kernel, stride) in _layers)
        {
            x = convolution.Forward(Padded(x, kernel, stride)).clamp_(0, 6);                   // [B, C, h, w]
        }

        var pooled = x.mean([2, 3], keepdim: true);                                            // [B, C, 1, 1]
        return (pooled.flatten(1).MoveToOuterDisposeScope(), null, _classes.Forward(pooled).flatten(1).MoveToOuterDisposeScope());
    }

    private int Add(PretrainedWeights weights, string key, int inputs, int kernel, int stride, bool isDepthwise = false)
    {
        var outputs = isDepthwise ? inputs : (int)weights.ShapeOf($"{key}.weight")[0];
        _layers.Add((Own(new FrozenConvolution(
            weights.Take($"{key}.weight", outputs, isDepthwise ? 1 : inputs, kernel, kernel), weights.Take($"{key}.bias", outputs), inputs,
            (kernel, kernel), stride,
            groups: isDepthwise ? inputs : 1)), kernel, stride));
        return outputs;
    }

    /// <summary>TensorFlow's padding SAME: as many zeros as give ceil(size / stride) outputs, the odd one behind.</summary>
    private static Tensor Padded(Tensor x, int kernel, int stride)
    {
        (long Before, long Behind) Zeros(long size)
        {
            var zeros = Math.Max((((size + stride - 1) / stride - 1) * stride) + kernel - size, 0);
            return (zeros / 2, zeros - (zeros / 2));
        }

        var ((top, bottom), (left, right)) = (Zeros(x.size(2)), Zeros(x.size(3)));
        return top + bottom + left + right == 0 ? x : functional.pad(x, [left, right, top, bottom]);
    }
}
