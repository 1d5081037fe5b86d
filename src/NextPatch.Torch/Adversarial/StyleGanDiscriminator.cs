using NextPatch.Torch.Convolutions;
using TorchSharp.Modules;
using TorchSharp.Utils;
using static TorchSharp.torch;
using static TorchSharp.torch.nn;

namespace NextPatch.Torch.Adversarial;

// Shape letters used in this file: B batch, S pixels per side.

/// <summary>One verdict per image, as in StyleGAN 2 (Karras et al., arXiv 1912.04958; the published code's second choice).</summary>
internal sealed class StyleGanDiscriminator : Module<Tensor, Tensor>
{
    /// <summary>Least width and height of images in pixels.</summary>
    public const int SmallestSide = 8;

    /// <summary>Greatest.</summary>
    public const int LargestSide = 1024;

    private const int LastSide = 4;

    [ComponentName(Name = "blocks")] private readonly ModuleList<Module<Tensor, Tensor>> _blocks;
    [ComponentName(Name = "final_conv")] private readonly ModuleList<Module<Tensor, Tensor>> _lastConvolution;
    [ComponentName(Name = "final_linear")] private readonly ModuleList<Module<Tensor, Tensor>> _lastLinear;

    /// <param name="imageSide">S; <see cref="Fits"/> must hold.</param>
    public StyleGanDiscriminator(int imageSide)
        : base(nameof(StyleGanDiscriminator))
    {
        var channels = ChannelsAt(imageSide);
        _blocks = new ModuleList<Module<Tensor, Tensor>>(Conv2d(3, channels, 3, padding: 1), LeakyReLU(StyleGanBlock.Slope));
        for (var side = imageSide; side > LastSide; side /= 2)
        {
            _blocks.Add(new StyleGanBlock(ChannelsAt(side), ChannelsAt(side / 2)));
        }

        var last = ChannelsAt(LastSide);
        _lastConvolution = new ModuleList<Module<Tensor, Tensor>>(Conv2d(last, last, 3, padding: 1), LeakyReLU(StyleGanBlock.Slope));
        _lastLinear = new ModuleList<Module<Tensor,
            Tensor>>(Linear(last * LastSide * LastSide, last), LeakyReLU(StyleGanBlock.Slope), Linear(last, 1));
        RegisterComponents();
    }

    /// <summary>
    /// Whether it can judge images of this width and height: powers of two from <see cref="SmallestSide"/> to <see cref="LargestSide"/>.
    /// </summary>
    public static bool Fits(int imageSide) => imageSide is >= SmallestSide and <= LargestSide && int.IsPow2(imageSide);

    /// <param name="images">float [B, 3, S, S].</param>
    /// <returns>float [B, 1], large for real, owned by the caller's dispose scope.</returns>
    public override Tensor forward(Tensor images)
    {
        using var scope = NewDisposeScope();
        var x = images;
        foreach (var layer in _blocks.Concat(_lastConvolution))
        {
            x = layer.Apply(x);
        }

        x = x.flatten(1);
        foreach (var layer in _lastLinear)
        {
            x = layer.Apply(x);
        }

        return x.MoveToOuterDisposeScope();
    }

    private static int ChannelsAt(int side) => side <= 32 ? 512 : 512 * 32 / side;
}
