using NextPatch.Torch.Convolutions;
using TorchSharp.Modules;
using TorchSharp.Utils;
using static TorchSharp.torch;
using static TorchSharp.torch.nn;

namespace NextPatch.Torch.Tokenizer;

// Shape letters used in this file: B batch, C channels, h and w rows and columns.

/// <summary>
/// Half the size by a 3x3 convolution of stride 2 over an image padded right and below, or twice the size by repetition and a 3x3 convolution.
/// </summary>
internal sealed class VqganResample : Module<Tensor, Tensor>
{
    [ComponentName(Name = "conv")] private readonly Conv2d _convolution;
    private readonly bool _isDown;

    public VqganResample(int channels, bool isDown)
        : base(nameof(VqganResample))
    {
        _isDown = isDown;
        _convolution = isDown ? Conv2d(channels, channels, 3, stride: 2) : Conv2d(channels, channels, 3, padding: 1);
        RegisterComponents();
    }

    /// <param name="x">float [B, C, h, w].</param>
    /// <returns>float [B, C, h / 2, w / 2] or [B, C, 2 h, 2 w], owned by the caller's dispose scope.</returns>
    public override Tensor forward(Tensor x)
    {
        using var scope = NewDisposeScope();
        var resized = _isDown ? functional.pad(x, [0, 1, 0, 1]) : functional.interpolate(x, scale_factor: [2, 2], mode: InterpolationMode.Nearest);
        return _convolution.Apply(resized).MoveToOuterDisposeScope();
    }
}
