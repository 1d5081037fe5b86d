using NextPatch.Torch.Convolutions;
using TorchSharp.Modules;
using TorchSharp.Utils;
using static TorchSharp.torch;
using static TorchSharp.torch.nn;

namespace NextPatch.Torch.Adversarial;

// Shape letters used in this file: B batch, I channels in, C channels out, h and w rows and columns.

/// <summary>Two convolutions, then blurred and halved, beside a halving 1x1 convolution; the sum is divided by sqrt(2).</summary>
internal sealed class StyleGanBlock : Module<Tensor, Tensor>
{
    public const double Slope = 0.2;

    [ComponentName(Name = "conv_res")] private readonly Conv2d _shortcut;
    [ComponentName(Name = "net")] private readonly ModuleList<Module<Tensor, Tensor>> _convolutions;
    [ComponentName(Name = "downsample")] private readonly ModuleList<Module<Tensor, Tensor>> _down;

    public StyleGanBlock(int inputs, int channels)
        : base(nameof(StyleGanBlock))
    {
        _shortcut = Conv2d(inputs, channels, 1, stride: 2);
        _convolutions = new ModuleList<Module<Tensor,
            Tensor>>(Conv2d(inputs, channels, 3, padding: 1), LeakyReLU(Slope), Conv2d(channels, channels, 3, padding: 1), LeakyReLU(Slope));

        // The blur holds no weights but counts as the first part, as published.
        _down = new ModuleList<Module<Tensor, Tensor>>(new Blur(), Conv2d(channels, channels, 3, stride: 2, padding: 1));
        RegisterComponents();
    }

    /// <param name="x">float [B, I, h, w].</param>
    /// <returns>float [B, C, h / 2, w / 2], owned by the caller's dispose scope.</returns>
    public override Tensor forward(Tensor x)
    {
        using var scope = NewDisposeScope();
        var y = x;
        foreach (var layer in _convolutions.Concat(_down))
        {
            y = layer.Apply(y);
        }

        return ((y + _shortcut.Apply(x)) * (1 / Math.Sqrt(2))).MoveToOuterDisposeScope();
    }

    /// <summary>Each channel by itself with (1, 2, 1) / 4 in both directions; borders are mirrored.</summary>
    private sealed class Blur : Module<Tensor, Tensor>
    {
        private static readonly float[] Weights = [0.25f, 0.5f, 0.25f];

        public Blur()
            : base(nameof(Blur))
            => RegisterComponents();

        public override Tensor forward(Tensor x)
        {
            using var scope = NewDisposeScope();
            var padded = functional.pad(x, [1, 1, 1, 1], mode: TorchSharp.PaddingModes.Reflect);   // [B, C, h + 2, w + 2]
            var line = tensor(Weights, device: x.device).to(x.dtype);
            var kernel = outer(line, line).expand(x.size(1), 1, 3, 3);                             // [C, 1, 3, 3]
            return functional.conv2d(padded, kernel, groups: x.size(1)).MoveToOuterDisposeScope(); // [B, C, h, w]
        }
    }
}
