using NextPatch.Core;
using NextPatch.Torch.Perception;
using static TorchSharp.torch;

namespace NextPatch.Evaluation.Networks;

/// <summary>The last activations of SqueezeNet 1.1, averaged over their places; images are brought to 224x224, the size it was trained on.</summary>
internal sealed class SqueezeNetNetwork : FeatureNetwork
{
    private const int Side = 224;
    private const int PassImages = 16;

    private readonly SqueezeNet _network;

    /// <exception cref="DataFormatException">These are not its weights.</exception>
    public SqueezeNetNetwork(PretrainedWeights weights, string name, string weightsHash, ResizeProtocol resize)
        : base(name, weightsHash, Side, resize, PassImages)
        => _network = Own(new SqueezeNet(weights));

    public override int FeatureCount => SqueezeNet.FeatureCount;

    protected override (Tensor Pooled, Tensor? Spatial, Tensor? Logits) Forward(Tensor levels)
    {
        using var scope = NewDisposeScope();
        return (_network.Activations(levels)[^1].mean([2, 3]).MoveToOuterDisposeScope(), null, null); // [B, 512]
    }
}
