using NextPatch.Core.Configuration;

namespace NextPatch.Cpu.Tokenizer;

/// <summary>The layers of published and of small tokenizers, in order.</summary>
internal static class TokenizerNetworks
{
    private const int ImageChannels = 3;

    /// <summary>From an image to what is compared with code vectors.</summary>
    public static List<ITokenizerLayer> Encoder(TokenizerConfig config, TokenizerState state)
        => config.Architecture == TokenizerArchitecture.Vqgan ? VqganEncoder(config, state) : SmallEncoder(config, state);

    /// <summary>From code vectors to an image.</summary>
    public static List<ITokenizerLayer> Decoder(TokenizerConfig config, TokenizerState state)
        => config.Architecture == TokenizerArchitecture.Vqgan ? VqganDecoder(config, state) : SmallDecoder(config, state);

    private static List<ITokenizerLayer> VqganEncoder(TokenizerConfig config, TokenizerState state)
    {
        var (channels, last, inputs) = (config.Channels, config.Channels.Count - 1, config.BaseChannels ?? config.Channels[0]);
        var side = config.ImageSide;
        List<ITokenizerLayer> layers = [new ConvolutionLayer(state.Convolution("encoder.conv_in", ImageChannels, inputs, 3, side))];
        for (var level = 0; level <= last; level++)
        {
            var name = $"encoder.conv_blocks.{level}";
            for (var block = 0; block < config.BlockCounts[level]; block++, inputs = channels[level])
            {
                layers.Add(Residual(state, $"{name}.res.{block}", inputs, channels[level], side));
                if (level == last)
                {
                    layers.Add(Attention(state, $"{name}.attn.{block}", channels[level], side));
                }
            }

            if (level < last)
            {
                var down = $"{name}.downsample.conv";
                layers.Add(new ConvolutionLayer(Tokenizer.Convolution.Create( // padded right and below
                    state.Get($"{down}.weight", inputs, inputs, 3, 3), state.Get($"{down}.bias", inputs).Read(), first: 0, stride: 2)));
                side /= 2;
            }
        }

        layers.AddRange(Middle(state, "encoder.mid", inputs, side));
        layers.Add(new ConvolutionLayer(
            state.Convolution("encoder.conv_out", inputs, config.LatentChannels, 3, side), state.VqganNorm("encoder.norm_out", inputs)));
        layers.Add(new ConvolutionLayer(state.Convolution("quant_conv", config.LatentChannels, config.CodeWidth, 1, side)));
        return layers;
    }

    private static List<ITokenizerLayer> VqganDecoder(TokenizerConfig config, TokenizerState state)
    {
        var (channels, last, side) = (config.Channels, config.Channels.Count - 1, config.GridSide);
        List<ITokenizerLayer> layers =
        [
            new ConvolutionLayer(state.Convolution("post_quant_conv", config.CodeWidth, config.LatentChannels, 1, side)),
            new ConvolutionLayer(state.Convolution("decoder.conv_in", config.LatentChannels, channels[last], 3, side)),
            .. Middle(state, "decoder.mid", channels[last], side),
        ];
        for (var level = last; level >= 0; level--) // the file counts from the deepest
        {
            var (name, inputs) = ($"decoder.conv_blocks.{last - level}", channels[Math.Min(last, level + 1)]);
            for (var block = 0; block <= config.BlockCounts[level]; block++)
            {
                layers.Add(Residual(state, $"{name}.res.{block}", block == 0 ? inputs : channels[level], channels[level], side));
                if (level == last)
                {
                    layers.Add(Attention(state, $"{name}.attn.{block}", channels[level], side));
                }
            }

            if (level > 0)
            {
                var (up, width) = ($"{name}.upsample.conv", channels[level]);
                layers.Add(new ConvolutionLayer(new WinogradConvolution<Kernels.Convolutions.WinogradTile4>(
                    state.Get($"{up}.weight", width, width, 3, 3), state.Get($"{up}.bias", width).Read(), isUpsampling: true)));
                side *= 2;
            }
        }

        layers.Add(new ConvolutionLayer(
            state.Convolution("decoder.conv_out", channels[0], ImageChannels, 3, side), state.VqganNorm("decoder.norm_out", channels[0])));
        return layers;
    }

    private static List<ITokenizerLayer> SmallEncoder(TokenizerConfig config, TokenizerState state)
    {
        List<ITokenizerLayer> layers = [];
        var (index, inputs, side) = (0, ImageChannels, config.ImageSide);
        for (var level = 0; level < config.Channels.Count; level++, index++)
        {
            var (name, channels) = ($"encoder.down.{index}", config.Channels[level]);
            layers.Add(new ConvolutionLayer(Tokenizer.Convolution.Create(
                state.Get($"{name}.weight", channels, inputs, 4, 4), state.Get($"{name}.bias", channels).Read(), first: -1, stride: 2)));
            (inputs, side) = (channels, side / 2);
            for (var block = 0; block < config.BlockCounts[level]; block++)
            {
                layers.Add(SmallResidual(state, $"encoder.down.{++index}", channels, side));
            }
        }

        layers.Add(new ConvolutionLayer(
            state.Convolution("encoder.conv_out", inputs, config.CodeWidth, 1, side), state.SmallNorm("encoder.norm_out", inputs)));
        return layers;
    }

    private static List<ITokenizerLayer> SmallDecoder(TokenizerConfig config, TokenizerState state)
    {
        var side = config.GridSide;
        List<ITokenizerLayer> layers = [new ConvolutionLayer(state.Convolution("decoder.conv_in", config.CodeWidth, config.Channels[^1], 3, side))];
        var index = 0;
        for (var level = config.Channels.Count - 1; level >= 0; level--)
        {
            var (channels, outputs) = (config.Channels[level], level == 0 ? ImageChannels : config.Channels[level - 1]);
            for (var block = 0; block < config.BlockCounts[level]; block++, index++)
            {
                layers.Add(SmallResidual(state, $"decoder.up.{index}", channels, side));
            }

            var norm = state.SmallNorm($"decoder.up.{index}", channels); // SiLU is a layer of its own there
            var weight = state.Get($"decoder.up.{index + 2}.weight", channels, outputs, 4, 4);
            layers.Add(new ConvolutionLayer(new TransposedConvolution(weight, state.Get($"decoder.up.{index + 2}.bias", outputs).Read()), norm));
            index += 3;
            side *= 2;
        }

        return layers;
    }

    private static ITokenizerLayer[] Middle(TokenizerState state, string name, int channels, int side) =>
    [
        Residual(state, $"{name}.0", channels, channels, side), Attention(state, $"{name}.1", channels, side),
        Residual(state, $"{name}.2", channels, channels, side),
    ];

    private static ResidualLayer Residual(TokenizerState state, string name, int inputs, int channels, int side) => new(
        state.VqganNorm($"{name}.norm1", inputs), state.Convolution($"{name}.conv1", inputs, channels, 3, side),
        state.VqganNorm($"{name}.norm2", channels), state.Convolution($"{name}.conv2", channels, channels, 3, side),
        inputs == channels ? null : state.Convolution($"{name}.nin_shortcut", inputs, channels, 1, side));

    private static ResidualLayer SmallResidual(TokenizerState state, string name, int channels, int side) => new(
        state.SmallNorm($"{name}.norm1", channels), state.Convolution($"{name}.conv1", channels, channels, 3, side),
        state.SmallNorm($"{name}.norm2", channels), state.Convolution($"{name}.conv2", channels, channels, 3, side), null);

    private static AttentionLayer Attention(TokenizerState state, string name, int channels, int side) => new(
        state.VqganNorm($"{name}.norm", channels), state.Convolution($"{name}.q", channels, channels, 1, side),
        state.Convolution($"{name}.k", channels, channels, 1, side), state.Convolution($"{name}.v", channels, channels, 1, side),
        state.Convolution($"{name}.proj_out", channels, channels, 1, side));
}
