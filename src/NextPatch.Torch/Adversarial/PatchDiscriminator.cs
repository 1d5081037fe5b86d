using NextPatch.Torch.Convolutions;
using TorchSharp.Modules;
using TorchSharp.Utils;
using static TorchSharp.torch;
using static TorchSharp.torch.nn;

namespace NextPatch.Torch.Adversarial;

// Shape letters used in this file: B batch, H and W rows and columns of pixels, h and w of the map of verdicts.

/// <summary>PatchGAN: one verdict per patch of the image (Isola et al., arXiv 1611.07004; NLayerDiscriminator of the published code).</summary>
/// <remarks>4x4 convolutions, of stride 2 but for the last two; batch normalisation behind all but the first and the last; leaky ReLU 0.2.</remarks>
internal sealed class PatchDiscriminator : Module<Tensor, Tensor>
{
    /// <summary>Least width and height of images in pixels, at the published depth: smaller ones leave nothing to the last layer.</summary>
    public const int SmallestSide = 24;

    private const double Slope = 0.2;
    private const double InitialDeviation = 0.02;
    private const int MostMultiples = 8;

    [ComponentName(Name = "main")] private readonly ModuleList<Module<Tensor, Tensor>> _layers;

    /// <param name="width">Channels of the first layer (<c>ndf</c>); published 64.</param>
    /// <param name="depth">Layers that halve the size (<c>n_layers</c>); published 3.</param>
    public PatchDiscriminator(int width = 64, int depth = 3)
        : base(nameof(PatchDiscriminator))
    {
        _layers = new ModuleList<Module<Tensor, Tensor>>(Conv2d(3, width, 4, stride: 2, padding: 1), LeakyReLU(Slope));
        var channels = width;
        for (var i = 1; i <= depth; i++)
        {
            var next = width * Math.Min(1 << i, MostMultiples);
            _layers.Add(Conv2d(channels, next, 4, stride: i < depth ? 2 : 1, padding: 1, bias: false));
            _layers.Add(BatchNorm2d(next));
            _layers.Add(LeakyReLU(Slope));
            channels = next;
        }

        _layers.Add(Conv2d(channels, 1, 4, stride: 1, padding: 1));
        RegisterComponents();
        Initialize();
    }

    /// <param name="images">float [B, 3, H, W].</param>
    /// <returns>float [B, 1, h, w], large for real, owned by the caller's dispose scope.</returns>
    public override Tensor forward(Tensor images)
    {
        using var scope = NewDisposeScope();
        var x = images;
        foreach (var layer in _layers)
        {
            x = layer is Conv2d convolution ? AlignedConvolution.Forward(convolution, x) : layer.forward(x);
        }

        return x.MoveToOuterDisposeScope();
    }

    private void Initialize()
    {
        using var noGradient = no_grad();
        foreach (var layer in _layers)
        {
            switch (layer)
            {
                case Conv2d convolution:
                    convolution.weight!.normal_(0, InitialDeviation);
                    break;
                case BatchNorm2d norm:
                    norm.weight!.normal_(1, InitialDeviation);
                    norm.bias!.zero_();
                    break;
                default:
                    break;
            }
        }
    }
}
