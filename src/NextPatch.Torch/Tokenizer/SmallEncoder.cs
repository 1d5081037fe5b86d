using NextPatch.Core.Configuration;
using NextPatch.Torch.Convolutions;
using TorchSharp.Modules;
using TorchSharp.Utils;
using static TorchSharp.torch;
using static TorchSharp.torch.nn;

namespace NextPatch.Torch.Tokenizer;

// Shape letters used in this file: B batch, S pixels per side, C channels of the innermost level, g grid side, W code width.

/// <summary>Image to latents: per level a 4x4 convolution of stride 2 and residual blocks, then norm, SiLU and a 1x1 convolution.</summary>
internal sealed class SmallEncoder : Module<Tensor, Tensor>
{
    [ComponentName(Name = "down")] private readonly ModuleList<Module<Tensor, Tensor>> _layers;
    [ComponentName(Name = "norm_out")] private readonly GroupNorm _norm;
    [ComponentName(Name = "conv_out")] private readonly Conv2d _output;

    public SmallEncoder(TokenizerConfig config)
        : base(nameof(SmallEncoder))
    {
        _layers = new ModuleList<Module<Tensor, Tensor>>();
        var channels = 3;
        for (var level = 0; level < config.Channels.Count; level++)
        {
            _layers.Add(Conv2d(channels, config.Channels[level], 4, stride: 2, padding: 1));
            channels = config.Channels[level];
            for (var block = 0; block < config.BlockCounts[level]; block++)
            {
                _layers.Add(new SmallResidualBlock(channels));
            }
        }

        _norm = GroupNorms.Create(channels);
        _output = Conv2d(channels, config.CodeWidth, 1);
        RegisterComponents();
    }

    /// <param name="images">float [B, 3, S, S] in [-1, 1].</param>
    /// <returns>Latents, not normalised, float [B, W, g, g].</returns>
    public override Tensor forward(Tensor images)
    {
        using var scope = NewDisposeScope();
        var x = images;
        foreach (var layer in _layers)
        {
            x = layer.Apply(x);
        }

        return _output.Apply(functional.silu(_norm.forward(x))).MoveToOuterDisposeScope(); // [B, W, g, g]
    }
}
