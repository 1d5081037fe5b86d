using NextPatch.Core.Configuration;
using NextPatch.Torch.Convolutions;
using TorchSharp.Modules;
using TorchSharp.Utils;
using static TorchSharp.torch;
using static TorchSharp.torch.nn;

namespace NextPatch.Torch.Tokenizer;

// Shape letters used in this file: B batch, S pixels per side, C channels of the innermost level, g grid side, W code width.

/// <summary>Code vectors to an image; the mirror of <see cref="SmallEncoder"/>, with transposed convolutions.</summary>
internal sealed class SmallDecoder : Module<Tensor, Tensor>
{
    [ComponentName(Name = "conv_in")] private readonly Conv2d _input;
    [ComponentName(Name = "up")] private readonly ModuleList<Module<Tensor, Tensor>> _layers;

    public SmallDecoder(TokenizerConfig config)
        : base(nameof(SmallDecoder))
    {
        // 3x3, so that a cell sees its neighbours' codes before the first block.
        _input = Conv2d(config.CodeWidth, config.Channels[^1], 3, padding: 1);
        _layers = new ModuleList<Module<Tensor, Tensor>>();
        for (var level = config.Channels.Count - 1; level >= 0; level--)
        {
            var channels = config.Channels[level];
            for (var block = 0; block < config.BlockCounts[level]; block++)
            {
                _layers.Add(new SmallResidualBlock(channels));
            }

            _layers.Add(GroupNorms.Create(channels));
            _layers.Add(SiLU());
            _layers.Add(ConvTranspose2d(channels, level == 0 ? 3 : config.Channels[level - 1], 4, stride: 2, padding: 1));
        }

        RegisterComponents();
    }

    /// <summary>The last layer's weight, float [C0, 3, 4, 4].</summary>
    public Parameter LastLayer => ((ConvTranspose2d)_layers[^1]).weight!;

    /// <param name="vectors">float [B, W, g, g].</param>
    /// <returns>Images, nominally in [-1, 1] but not clamped, float [B, 3, S, S].</returns>
    public override Tensor forward(Tensor vectors)
    {
        using var scope = NewDisposeScope();
        var x = _input.Apply(vectors); // [B, C, g, g]
        foreach (var layer in _layers)
        {
            x = layer.Apply(x);
        }

        return x.MoveToOuterDisposeScope(); // [B, 3, S, S]
    }
}
