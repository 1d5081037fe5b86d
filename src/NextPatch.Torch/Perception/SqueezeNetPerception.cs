using NextPatch.Core;
using NextPatch.Core.Tensors;
using static TorchSharp.torch;

namespace NextPatch.Torch.Perception;

// Shape letters used in this file: B batch, H and W rows and columns of pixels, C channels, h and w of a feature map.

/// <summary>A perceptual loss in SqueezeNet's features: squared distance of channel vectors of length one, averaged over places and layers.</summary>
/// <remarks>
/// The layers are those of LPIPS with a SqueezeNet. Its linear heads are left out, because they were trained for other weights than those that
/// <see cref="SqueezeNet"/> takes: that is LPIPS's own baseline, divided by the number of layers, so that it lies in [0, 2] and
/// near the size of <see cref="Lpips"/>. It computes in float32 whatever is asked: in bfloat16 its gradient was 30 % off (rounding decides where
/// pools send it), and a step spends little time here.
/// </remarks>
internal sealed class SqueezeNetPerception : IPerceptualLoss
{
    // After conv1, fire3, fire5, fire6, fire7, fire8 and fire9.
    private static readonly int[] Tapped = [0, 2, 4, 5, 6, 7, 8];

    private readonly SqueezeNet _network;

    /// <param name="tensors">Weights of <see cref="SqueezeNet"/>.</param>
    /// <param name="source">What messages call the file.</param>
    /// <exception cref="DataFormatException">These are not its weights.</exception>
    public SqueezeNetPerception(IReadOnlyDictionary<string, StoredTensor> tensors, string source)
        => _network = new SqueezeNet(new PretrainedWeights(tensors, source, SqueezeNet.Name));

    public int SmallestSide => SqueezeNet.MinimumSide;

    /// <inheritdoc/>
    /// <exception cref="NextPatchException">The images are not RGB or smaller than <see cref="SqueezeNet.MinimumSide"/>.</exception>
    public Tensor Distance(Tensor images, Tensor reconstructions, ScalarType? computeType = null)
    {
        using var scope = NewDisposeScope();
        var (a, b) = (_network.Activations(ToLevels(images)), _network.Activations(ToLevels(reconstructions)));
        var sum = zeros(1).sum();
        foreach (var tap in Tapped)
        {
            sum = sum + (Unit(a[tap]) - Unit(b[tap])).square().sum(1).mean(); // []
        }

        return (sum / Tapped.Length).MoveToOuterDisposeScope();
    }

    public void Dispose() => _network.Dispose();

    private static Tensor ToLevels(Tensor images) => (images + 1) * 127.5;

    // The constant keeps the gradient finite where every channel is 0.
    private static Tensor Unit(Tensor features) => features * (features.square().sum(1, keepdim: true) + 1e-10).rsqrt(); // [B, C, h, w]
}
