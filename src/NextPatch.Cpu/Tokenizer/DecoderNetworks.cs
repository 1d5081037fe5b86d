using NextPatch.Core.Configuration;

namespace NextPatch.Cpu.Tokenizer;

/// <summary>The layers of published and of small decoders, in order.</summary>
internal static class DecoderNetworks
{
    private const int ImageChannels = 3;

    /// <summary>From code vectors to an image.</summary>
    public static List<IDecoderLayer> Create(TokenizerConfig config, TokenizerState state)
        => config.Architecture == TokenizerArchitecture.Vqgan ? Vqgan(config, state) : Small(config, state);

    private static List<IDecoderLayer> Vqgan(TokenizerConfig config, TokenizerState state)
    {
        var (channels, last) = (config.Channels, config.Channels.Count - 1);
        List<IDecoderLayer> layers =
        [
            new ConvolutionLayer(state.Convolution("post_quant_conv", config.CodeWidth, config.LatentChannels, 1)),
            new ConvolutionLayer(state.Convolution("decoder.conv_in", config.LatentChannels, channels[last], 3)),
            Residual(state, "decoder.mid.0", channels[last], channels[last]),
            Attention(state, "decoder.mid.1", channels[last]),
            Residual(state, "decoder.mid.2", channels[last], channels[last]),
        ];
        for (var level = last; level >= 0; level--) // the file counts from the deepest
        {
            var (name, inputs) = ($"decoder.conv_blocks.{last - level}", channels[Math.Min(last, level + 1)]);
            for (var block = 0; block <= config.BlockCounts[level]; block++)
            {
                layers.Add(Residual(state, $"{name}.res.{block}", block == 0 ? inputs : channels[level], channels[level]));
                if (level == last)
                {
                    layers.Add(Attention(state, $"{name}.attn.{block}", channels[level]));
                }
            }

            if (level > 0)
            {
                var weight = state.Get($"{name}.upsample.conv.weight", channels[level], channels[level], 3, 3);
                layers.Add(new UpsamplingLayer(Convolution.CreateUpsampling(weight, state.Get($"{name}.upsample.conv.bias", channels[level]))));
            }
        }

        layers.Add(new ConvolutionLayer(
            state.Convolution("decoder.conv_out", channels[0], ImageChannels, 3), state.VqganNorm("decoder.norm_out", channels[0])));
        return layers;
    }

    private static List<IDecoderLayer> Small(TokenizerConfig config, TokenizerState state)
    {
        List<IDecoderLayer> layers = [new ConvolutionLayer(state.Convolution("decoder.conv_in", config.CodeWidth, config.Channels[^1], 3))];
        var index = 0;
        for (var level = config.Channels.Count - 1; level >= 0; level--)
        {
            var (channels, outputs) = (config.Channels[level], level == 0 ? ImageChannels : config.Channels[level - 1]);
            for (var block = 0; block < config.BlockCounts[level]; block++, index++)
            {
                var name = $"decoder.up.{index}";
                layers.Add(new ResidualLayer(
                    state.SmallNorm($"{name}.norm1", channels), state.Convolution($"{name}.conv1", channels, channels, 3),
                    state.SmallNorm($"{name}.norm2", channels), state.Convolution($"{name}.conv2", channels, channels, 3), null));
            }

            var norm = state.SmallNorm($"decoder.up.{index}", channels); // SiLU is a layer of its own there
            var weight = state.Get($"decoder.up.{index + 2}.weight", channels, outputs, 4, 4);
            layers.Add(new UpsamplingLayer(Convolution.CreateTransposed(weight, state.Get($"decoder.up.{index + 2}.bias", outputs)), norm));
            index += 3;
        }

        return layers;
    }

    private static ResidualLayer Residual(TokenizerState state, string name, int inputs, int channels) => new(
        state.VqganNorm($"{name}.norm1", inputs), state.Convolution($"{name}.conv1", inputs, channels, 3),
        state.VqganNorm($"{name}.norm2", channels), state.Convolution($"{name}.conv2", channels, channels, 3),
        inputs == channels ? null : state.Convolution($"{name}.nin_shortcut", inputs, channels, 1));

    private static AttentionLayer Attention(TokenizerState state, string name, int channels) => new(
        state.VqganNorm($"{name}.norm", channels), state.Convolution($"{name}.q", channels, channels, 1),
        state.Convolution($"{name}.k", channels, channels, 1),
        state.Convolution($"{name}.v", channels, channels, 1), state.Convolution($"{name}.proj_out", channels, channels, 1));
}
