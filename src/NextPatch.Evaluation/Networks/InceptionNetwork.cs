using NextPatch.Core;
using NextPatch.Torch.Perception;
using static TorchSharp.torch;
using static TorchSharp.torch.nn;

namespace NextPatch.Evaluation.Networks;

// Shape letters used in this file: B batch, C channels, h and w of a feature map.

/// <summary>The FID Inception network: the TensorFlow graph of 2015-12-05 by the keys of its PyTorch port.</summary>
/// <remarks>
/// It differs from torchvision's Inception v3: average pools divide by the number of real pixels, Mixed_7c takes a maximum, batch norms have
/// epsilon 0.001, and there are 1008 classes. The spatial features are the first seven channels of <c>mixed_6/conv</c>, which is
/// Mixed_6d's 1x1 branch.
/// </remarks>
internal sealed class InceptionNetwork : FeatureNetwork
{
    private const int Side = 299;
    private const int Features = 2048;
    private const int Classes = 1008;
    private const int SpatialSide = 17;
    private const int SpatialChannels = 7;
    private const int PassImages = 8;
    private const string SpatialStage = "Mixed_6d";

    private readonly List<(string Name, FrozenConvolution? Convolution, InceptionBlock? Block)> _stages;
    private readonly Tensor _classes;

    /// <exception cref="DataFormatException">These are not its weights.</exception>
    public InceptionNetwork(PretrainedWeights weights, string name, string weightsHash, ResizeProtocol resize)
        : base(name, weightsHash, Side, resize, PassImages)
    {
        try
        {
            _stages = InceptionStages.Read(weights, Own);
            _classes = Own(weights.Take("fc.weight", Classes, Features), Classes, Features);
            weights.Take("fc.bias", Classes);
            weights.ExpectNoOthers(key => key.EndsWith(".num_batches_tracked", StringComparison.Ordinal));
        }
        catch
        {
            Dispose();
            throw;
        }
    }

    public override int FeatureCount => Features;

    public override int SpatialCount => SpatialSide * SpatialSide * SpatialChannels;

    public override int ClassCount => Classes;

    /// <summary>All stages.</summary>
    /// <param name="images">float [B, 3, 299, 299], normalised.</param>
    /// <param name="observe">Sees every stage's name and output [B, C, h, w].</param>
    /// <returns>The last stage's output, [B, 2048, 8, 8], and Mixed_6d's.</returns>
    internal (Tensor Last, Tensor Spatial) Run(Tensor images, Action<string, Tensor>? observe = null)
    {
        using var scope = NewDisposeScope();
        var (x, spatial) = (images, images);
        foreach (var (name, convolution, block) in _stages)
        {
            var y = convolution?.ForwardRelu(x) ?? block?.Forward(x) ?? functional.max_pool2d(x, 3, 2);
            observe?.Invoke(name, y);
            if (!ReferenceEquals(x, images) && !ReferenceEquals(x, spatial))
            {
                x.Dispose();
            }

            x = y;
            spatial = name == SpatialStage ? x : spatial;
        }

        return (x.MoveToOuterDisposeScope(), spatial.MoveToOuterDisposeScope());
    }

    protected override (Tensor Pooled, Tensor? Spatial, Tensor? Logits) Forward(Tensor levels)
    {
        var (last, spatial) = Run(Resize == ResizeProtocol.Legacy ? levels.mul_(2 / 255f).sub_(1) : levels.sub_(128).mul_(1 / 128f));
        var pooled = last.mean([2, 3]);                                                                // [B, 2048]
        return (pooled, spatial.narrow(1, 0, SpatialChannels).permute(0, 2, 3, 1), functional.linear(pooled, _classes.to(pooled.device)));
    }
}
