using NextPatch.Core.Configuration;
using NextPatch.Torch.Convolutions;
using TorchSharp.Modules;
using TorchSharp.Utils;
using static TorchSharp.torch;
using static TorchSharp.torch.nn;

namespace NextPatch.Torch.Tokenizer;

// Shape letters used in this file: B batch, H and W rows and columns of pixels, h and w of the grid, Z latent channels.

/// <summary>
/// Latents to image; the mirror of <see cref="VqganEncoder"/> with one block more in each level. Levels are numbered from the deepest.
/// </summary>
internal sealed class VqganDecoder : Module<Tensor, Tensor>
{
    [ComponentName(Name = "conv_in")] private readonly Conv2d _input;
    [ComponentName(Name = "mid")] private readonly ModuleList<Module<Tensor, Tensor>> _middle;
    [ComponentName(Name = "conv_blocks")] private readonly ModuleList<VqganLevel> _levels;
    [ComponentName(Name = "norm_out")] private readonly GroupNorm _norm;
    [ComponentName(Name = "conv_out")] private readonly Conv2d _output;

    public VqganDecoder(TokenizerConfig config)
        : base(nameof(VqganDecoder))
    {
        var (channels, last) = (config.Channels, config.Channels.Count - 1);
        _input = Conv2d(config.LatentChannels, channels[last], 3, padding: 1);
        _middle = VqganMiddle.Create(channels[last]);
        _levels = new ModuleList<VqganLevel>([.. Enumerable.Range(0, channels.Count).Select(i => last - i).Select(i =>
            new VqganLevel(
                channels[Math.Min(last, i + 1)], channels[i], config.BlockCounts[i] + 1, hasAttention: i == last, isDown: i == 0 ? null : false))]);
        _norm = GroupNorms.CreateVqgan(channels[0]);
        _output = Conv2d(channels[0], 3, 3, padding: 1);
        RegisterComponents();
    }

    /// <summary>The last layer's weight, float [3, C, 3, 3]: where the adaptive weight of the adversarial loss is measured.</summary>
    public Parameter LastLayer => _output.weight!;

    /// <param name="latents">float [B, Z, h, w].</param>
    /// <returns>float [B, 3, H, W], nominally in [-1, 1] but not clamped, owned by the caller's dispose scope.</returns>
    public override Tensor forward(Tensor latents)
    {
        using var scope = NewDisposeScope();
        var x = _input.Apply(latents);
        foreach (var layer in _middle.Concat(_levels))
        {
            x = layer.forward(x);
        }

        return AlignedConvolution.Forward(_output, functional.silu(_norm.forward(x))).MoveToOuterDisposeScope(); // [B, 3, H, W]
    }
}
