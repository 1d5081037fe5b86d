using NextPatch.Core;
using NextPatch.Core.Tensors;
using static TorchSharp.torch;
using static TorchSharp.torch.nn;

namespace NextPatch.Torch.Perception;

// Shape letters used in this file: B batch, H and W rows and columns of pixels, C channels, h and w of a feature map.

/// <summary>The convolution layers of SqueezeNet 1.1 (Iandola et al., arXiv 1602.07360) with weights derived from Caffe's.</summary>
/// <remarks>Takes B, G, R planes in 0..255 less their means. Maximum pools have no padding and round down. Weights never change; gradients flow to
/// the image. One thread at a time.</remarks>
internal sealed class SqueezeNet : IDisposable
{
    /// <summary>What messages call it.</summary>
    public const string Name = "SqueezeNet 1.1";

    /// <summary>Smallest side of an image: below it nothing is left after the last pool.</summary>
    public const int MinimumSide = 31;

    /// <summary>Channels of the last feature map.</summary>
    public const int FeatureCount = 512;

    private const int StemChannels = 64;
    private const int FirstFire = 2;

    // Channels of the squeeze layers of fire2 to fire9; each of the two expand layers has four times as many.
    private static readonly int[] Squeezed = [16, 16, 32, 32, 48, 48, 64, 64];
    private static readonly float[] Means = [103.939f, 116.779f, 123.68f];

    private readonly FrozenConvolution _stem;
    private readonly (FrozenConvolution Squeeze, FrozenConvolution Narrow, FrozenConvolution Wide)[] _fires;
    private readonly Tensor _means;

    /// <param name="weights"><c>conv1</c> and <c>fire2</c> to <c>fire9</c> with <c>squeeze1x1</c>, <c>expand1x1</c>, <c>expand3x3</c>, weight and
    /// bias each.</param>
    /// <exception cref="DataFormatException">These are not the weights of this network.</exception>
    public SqueezeNet(PretrainedWeights weights)
    {
        _fires = new (FrozenConvolution, FrozenConvolution, FrozenConvolution)[Squeezed.Length];
        try
        {
            _stem = FrozenConvolution.Read(weights, "conv1", 3, StemChannels, 3, stride: 2);
            _means = tensor(Means, [1, 3, 1, 1]).DetachFromDisposeScope();
            var channels = StemChannels;
            for (var i = 0; i < _fires.Length; i++)
            {
                var (name, squeezed) = ($"fire{i + FirstFire}", Squeezed[i]);
                _fires[i].Squeeze = FrozenConvolution.Read(weights, $"{name}.squeeze1x1", channels, squeezed, 1);
                _fires[i].Narrow = FrozenConvolution.Read(weights, $"{name}.expand1x1", squeezed, 4 * squeezed, 1);
                _fires[i].Wide = FrozenConvolution.Read(weights, $"{name}.expand3x3", squeezed, 4 * squeezed, 3, padding: 1);
                channels = 8 * squeezed;
            }

            weights.ExpectNoOthers();
        }
        catch
        {
            Dispose();
            throw;
        }
    }

    /// <summary>Activations of the first convolution and of every fire module, after their ReLU.</summary>
    /// <param name="images">float [B, 3, H, W], R, G, B in 0..255.</param>
    /// <returns>[B, C, h, w] each, in the caller's dispose scope.</returns>
    /// <exception cref="NextPatchException">The images are not RGB or too small.</exception>
    public Tensor[] Activations(Tensor images)
    {
        if (images.dim() != 4 || images.size(1) != 3 || images.size(2) < MinimumSide || images.size(3) < MinimumSide)
        {
            throw new NextPatchException(
                $"SqueezeNet takes RGB images [B, 3, H, W] of at least {MinimumSide}x{MinimumSide} pixels but got "
                    + $"{HostTensor.Describe(images.shape)}; "
                + "enlarge them first.");
        }

        using var scope = NewDisposeScope();
        var planes = images.flip(1) - _means.to(images.device);                                 // [B, 3, H, W], B, G, R
        var x = _stem.ForwardRelu(FrozenConvolution.ChannelsLast(planes));          // [B, 64, h, w]
        var layers = new Tensor[_fires.Length + 1];
        layers[0] = x;
        for (var i = 0; i < _fires.Length; i++)
        {
            if (i is 0 or 2 or 4)
            {
                x = functional.max_pool2d(x, 3, 2);                                 // [B, C, (h - 1) / 2, (w - 1) / 2]
            }

            var squeezed = _fires[i].Squeeze.ForwardRelu(x);
            x = cat([_fires[i].Narrow.Forward(squeezed), _fires[i].Wide.Forward(squeezed)], 1).relu_();
            layers[i + 1] = x;
        }

        return [.. layers.Select(layer => layer.MoveToOuterDisposeScope())];
    }

    public void Dispose()
    {
        _stem?.Dispose();
        _means?.Dispose();
        foreach (var (squeeze, narrow, wide) in _fires)
        {
            squeeze?.Dispose();
            narrow?.Dispose();
            wide?.Dispose();
        }
    }
}
