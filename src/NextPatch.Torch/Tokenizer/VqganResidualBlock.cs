using NextPatch.Torch.Convolutions;
using TorchSharp.Modules;
using TorchSharp.Utils;
using static TorchSharp.torch;
using static TorchSharp.torch.nn;

namespace NextPatch.Torch.Tokenizer;

// Shape letters used in this file: B batch, I channels in, C channels out, h and w rows and columns.

/// <summary>
/// shortcut(x) + conv(silu(norm(conv(silu(norm(x)))))), 3x3 convolutions; the shortcut is a 1x1 convolution where the width changes.
/// </summary>
internal sealed class VqganResidualBlock : Module<Tensor, Tensor>
{
    [ComponentName(Name = "norm1")] private readonly GroupNorm _norm1;
    [ComponentName(Name = "conv1")] private readonly Conv2d _convolution1;
    [ComponentName(Name = "norm2")] private readonly GroupNorm _norm2;
    [ComponentName(Name = "conv2")] private readonly Conv2d _convolution2;
    [ComponentName(Name = "nin_shortcut")] private readonly Conv2d? _shortcut;

    public VqganResidualBlock(int inputs, int channels)
        : base(nameof(VqganResidualBlock))
    {
        _norm1 = GroupNorms.CreateVqgan(inputs);
        _convolution1 = Conv2d(inputs, channels, 3, padding: 1);
        _norm2 = GroupNorms.CreateVqgan(channels);
        _convolution2 = Conv2d(channels, channels, 3, padding: 1);
        _shortcut = inputs == channels ? null : Conv2d(inputs, channels, 1);
        RegisterComponents();
    }

    /// <param name="x">float [B, I, h, w].</param>
    /// <returns>float [B, C, h, w], owned by the caller's dispose scope.</returns>
    public override Tensor forward(Tensor x)
    {
        using var scope = NewDisposeScope();
        var y = _convolution1.Apply(functional.silu(_norm1.forward(x)));  // [B, C, h, w]
        y = _convolution2.Apply(functional.silu(_norm2.forward(y)));
        return ((_shortcut?.Apply(x) ?? x) + y).MoveToOuterDisposeScope();
    }
}
