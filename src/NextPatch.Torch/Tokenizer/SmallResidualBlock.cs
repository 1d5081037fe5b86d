using NextPatch.Torch.Convolutions;
using TorchSharp.Modules;
using TorchSharp.Utils;
using static TorchSharp.torch;
using static TorchSharp.torch.nn;

namespace NextPatch.Torch.Tokenizer;

/// <summary>x + conv(silu(norm(conv(silu(norm(x)))))), 3x3 convolutions, width and size unchanged.</summary>
internal sealed class SmallResidualBlock : Module<Tensor, Tensor>
{
    [ComponentName(Name = "norm1")] private readonly GroupNorm _norm1;
    [ComponentName(Name = "conv1")] private readonly Conv2d _convolution1;
    [ComponentName(Name = "norm2")] private readonly GroupNorm _norm2;
    [ComponentName(Name = "conv2")] private readonly Conv2d _convolution2;

    public SmallResidualBlock(int channels)
        : base(nameof(SmallResidualBlock))
    {
        _norm1 = GroupNorms.Create(channels);
        _convolution1 = Conv2d(channels, channels, 3, padding: 1);
        _norm2 = GroupNorms.Create(channels);
        _convolution2 = Conv2d(channels, channels, 3, padding: 1);
        RegisterComponents();
    }

    /// <param name="x">float [B, C, h, w].</param>
    /// <returns>float [B, C, h, w], owned by the caller's dispose scope.</returns>
    public override Tensor forward(Tensor x)
    {
        using var scope = NewDisposeScope();
        var y = _convolution1.Apply(functional.silu(_norm1.forward(x)));
        y = _convolution2.Apply(functional.silu(_norm2.forward(y)));
        return (x + y).MoveToOuterDisposeScope();
    }
}
