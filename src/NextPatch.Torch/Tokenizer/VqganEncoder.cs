using NextPatch.Core.Configuration;
using NextPatch.Torch.Convolutions;
using TorchSharp.Modules;
using TorchSharp.Utils;
using static TorchSharp.torch;
using static TorchSharp.torch.nn;

namespace NextPatch.Torch.Tokenizer;

// Shape letters used in this file: B batch, H and W rows and columns of pixels, h and w of the grid, Z latent channels.

/// <summary>Image to latents, as published (arXiv 2012.09841, table 7; LlamaGen's sizes in <see cref="TokenizerPresets"/>).</summary>
internal sealed class VqganEncoder : Module<Tensor, Tensor>
{
    [ComponentName(Name = "conv_in")] private readonly Conv2d _input;
    [ComponentName(Name = "conv_blocks")] private readonly ModuleList<VqganLevel> _levels;
    [ComponentName(Name = "mid")] private readonly ModuleList<Module<Tensor, Tensor>> _middle;
    [ComponentName(Name = "norm_out")] private readonly GroupNorm _norm;
    [ComponentName(Name = "conv_out")] private readonly Conv2d _output;

    public VqganEncoder(TokenizerConfig config)
        : base(nameof(VqganEncoder))
    {
        var (channels, last) = (config.Channels, config.Channels.Count - 1);
        var first = config.BaseChannels ?? channels[0];
        _input = Conv2d(3, first, 3, padding: 1);
        _levels = new ModuleList<VqganLevel>([.. Enumerable.Range(0, channels.Count).Select(i =>
            new VqganLevel(
                i == 0 ? first : channels[i - 1], channels[i], config.BlockCounts[i], hasAttention: i == last, isDown: i == last ? null : true))]);
        _middle = VqganMiddle.Create(channels[last]);
        _norm = GroupNorms.CreateVqgan(channels[last]);
        _output = Conv2d(channels[last], config.LatentChannels, 3, padding: 1);
        RegisterComponents();
    }

    /// <param name="images">float [B, 3, H, W] in [-1, 1].</param>
    /// <returns>float [B, Z, h, w], owned by the caller's dispose scope.</returns>
    public override Tensor forward(Tensor images)
    {
        using var scope = NewDisposeScope();
        var x = _input.Apply(images);
        foreach (var layer in _levels.Concat(_middle))
        {
            x = layer.forward(x);
        }

        return _output.Apply(functional.silu(_norm.forward(x))).MoveToOuterDisposeScope(); // [B, Z, h, w]
    }
}
