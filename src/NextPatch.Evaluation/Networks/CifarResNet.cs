using NextPatch.Core;
using NextPatch.Torch.Perception;
using static TorchSharp.torch;
using static TorchSharp.torch.nn;

namespace NextPatch.Evaluation.Networks;

// Shape letters used in this file: B batch, C channels, h and w of a feature map.

/// <summary>
/// A residual network for CIFAR-10 (He et al., arXiv 1512.03385, section 4.2) of any depth, with shortcuts without weights (option A).
/// </summary>
internal sealed class CifarResNet : FeatureNetwork
{
    private const int Side = 32;
    private const int Stages = 3;
    private const int StemChannels = 16;
    private const int Features = StemChannels << (Stages - 1);
    private const int PassImages = 64;
    private const double Epsilon = 1e-5;
    private static readonly float[] Mean = [0.485f, 0.456f, 0.406f];
    private static readonly float[] Deviation = [0.229f, 0.224f, 0.225f];

    private readonly FrozenConvolution _stem;
    private readonly List<(FrozenConvolution First, FrozenConvolution Second, bool Halves)> _blocks = [];
    private readonly Tensor _scale;
    private readonly Tensor _shift;
    private readonly Tensor _classes;
    private readonly Tensor _classBias;

    /// <exception cref="DataFormatException">These are not its weights.</exception>
    public CifarResNet(PretrainedWeights weights, string name, string weightsHash, ResizeProtocol resize)
        : base(name, weightsHash, Side, resize, PassImages)
    {
        try
        {
            _stem = Fold(weights, "conv1", "bn1", 3, StemChannels);
            var channels = StemChannels;
            for (var stage = 0; stage < Stages; stage++)
            {
                var outputs = StemChannels << stage;
                for (var block = 0; block == 0 || weights.Has(KeyOf(stage, block)); block++)
                {
                    var (prefix, halves) = ($"layer{stage + 1}.{block}", channels != outputs);
                    _blocks.Add((Fold(weights, $"{prefix}.conv1", $"{prefix}.bn1", channels, outputs, halves ? 2 : 1),
                        Fold(weights, $"{prefix}.conv2", $"{prefix}.bn2", outputs, outputs), halves));
                    channels = outputs;
                }
            }

            ClassCount = (int)weights.ShapeOf("linear.weight")[0];
            _classes = Own(weights.Take("linear.weight", ClassCount, Features), ClassCount, Features);
            _classBias = Own(weights.Take("linear.bias", ClassCount), ClassCount);
            _scale = Own(Array.ConvertAll(Deviation, d => 1 / (255 * d)), 1, 3, 1, 1);
            _shift = Own([.. Mean.Zip(Deviation, (m, d) => m / d)], 1, 3, 1, 1);
            weights.ExpectNoOthers(key => key.EndsWith(".num_batches_tracked", StringComparison.Ordinal));
        }
        catch
        {
            Dispose();
            throw;
        }
    }

    public override int FeatureCount => Features;

    public override int ClassCount { get; }

    /// <summary>Layers with weights on the longest path: 20, 56, …</summary>
    public static int DepthOf(Func<string, bool> has)
        => 2 + (2 * Enumerable.Range(0, Stages).Sum(stage => Enumerable.Range(0, int.MaxValue).TakeWhile(block => has(KeyOf(stage, block))).Count()));

    protected override (Tensor Pooled, Tensor? Spatial, Tensor? Logits) Forward(Tensor levels)
    {
        using var scope = NewDisposeScope();
        var x = _stem.ForwardRelu((levels * _scale.to(levels.device)) - _shift.to(levels.device));
        foreach (var (first, second, halves) in _blocks)
        {
            var y = second.Forward(first.ForwardRelu(x));
            x = y.add_(halves ? Shortcut(x, y.size(1)) : x).relu_();                           // [B, C, h, w]
        }

        var pooled = x.mean([2, 3]);                                                           // [B, 64]
        var logits = functional.linear(pooled, _classes.to(x.device), _classBias.to(x.device));
        return (pooled.MoveToOuterDisposeScope(), null, logits.MoveToOuterDisposeScope());
    }

    private FrozenConvolution Fold(PretrainedWeights weights, string convolution, string norm, int inputs, int outputs, int stride = 1)
        => Own(FoldedConvolution.Read(weights, convolution, norm, inputs, outputs, (3, 3), Epsilon).Freeze(stride, (1, 1)));

    private static string KeyOf(int stage, int block) => $"layer{stage + 1}.{block}.conv1.weight";

    // Every second pixel, with channels of zeros before and behind: half as many as there are, each.
    private static Tensor Shortcut(Tensor x, long channels)
    {
        var missing = channels - x.size(1);
        return functional.pad(x[.., .., TensorIndex.Slice(step: 2), TensorIndex.Slice(step: 2)], [0, 0, 0, 0, missing / 2, missing / 2]);
    }
}
