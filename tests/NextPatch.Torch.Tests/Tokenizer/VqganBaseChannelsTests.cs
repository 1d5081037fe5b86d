using NextPatch.Core.Checkpoints.PyTorch;
using NextPatch.Core.Configuration;
using NextPatch.Torch.Loading;
using NextPatch.Torch.Tokenizer;
using static TorchSharp.torch;
using F = TorchSharp.torch.nn.functional;

namespace NextPatch.Torch.Tests.Tokenizer;

/// <summary>A published VQGAN whose first multiplier is not 1: <c>ch</c> 32, <c>ch_mult</c> [2, 1, 3], one residual block a level.</summary>
[NoTensorLeaks]
public sealed class VqganBaseChannelsTests
{
    private const int Ch = 32;
    private const int Latents = 16;
    private static readonly int[] Multipliers = [2, 1, 3];

    private static readonly TokenizerConfig Config = new()
    {
        Architecture = TokenizerArchitecture.Vqgan, ImageSide = 16, DownsamplingFactor = 4, BaseChannels = Ch, Channels = [64, 32, 96],
        BlockCounts = [1, 1, 1], LatentChannels = Latents, CodebookSize = 24, CodeWidth = 4,
    };

    [Fact]
    public void Names_and_shapes_are_those_of_the_published_layout()
    {
        using var tokenizer = new VqTokenizer(Config, seed: 1);
        var state = StateLoader.Capture(tokenizer).ToDictionary(p => p.Key, p => $"[{string.Join(", ", p.Value.Shape)}]");
        var used = Assert.Single(state.Keys, key => !Listing().ContainsKey(key));
        Assert.Equal("quantize.codebook_used", used);
        Assert.All(Listing(), entry => Assert.Equal(entry.Value, state[entry.Key]));
        Assert.Equal("[32, 3, 3, 3]", state["encoder.conv_in.weight"]);
        Assert.Equal("[32]", state["encoder.conv_blocks.0.res.0.norm1.weight"]);
        Assert.Equal("[64, 32, 3, 3]", state["encoder.conv_blocks.0.res.0.conv1.weight"]);
        Assert.Equal(("[96, 16, 3, 3]", "[3, 64, 3, 3]"), (state["decoder.conv_in.weight"], state["decoder.conv_out.weight"]));
    }

    [Fact]
    public void Weights_alone_say_what_it_is_and_images_come_out_as_by_plain_arithmetic()
    {
        using var scope = NewDisposeScope();
        using var folder = new TemporaryFolder();
        using var random = new Generator(3);
        var weights = Listing().ToDictionary(e => e.Key, e => (randn(Extents(e.Value), generator: random) * 0.1) + (IsScale(e.Key) ? 1 : 0));
        PyTorchFile.Write(folder["vq.pt"], weights.Select(w => KeyValuePair.Create(w.Key, StateLoader.ToHost(w.Value))));

        using var tokenizer = VqTokenizer.Load(folder["vq.pt"], gridSide: 4);
        Assert.Equal(Config with { Channels = tokenizer.Config.Channels, BlockCounts = tokenizer.Config.BlockCounts }, tokenizer.Config);
        Assert.Equal(Config.Channels, tokenizer.Config.Channels);
        tokenizer.eval();

        using var noGradient = no_grad();
        var plain = new Plain(weights.ToDictionary(w => w.Key, w => w.Value.to_type(ScalarType.Float64)));
        var images = (rand([2, 3, 16, 16], generator: random) * 2) - 1;
        var latents = plain.Latents(images.to_type(ScalarType.Float64));
        Close(latents, tokenizer.Latents(images));
        var vectors = randn([2, 4, 4, 4], generator: random);
        Close(plain.Render(vectors.to_type(ScalarType.Float64)), tokenizer.Render(vectors));
    }

    [Fact]
    public void A_first_multiplier_of_one_needs_no_setting()
    {
        using var plain = new VqTokenizer(Config with { BaseChannels = null }, seed: 1);
        using var named = new VqTokenizer(Config with { BaseChannels = 64 }, seed: 1);
        Assert.Equal(Bytes(plain), Bytes(named));

        static byte[] Bytes(VqTokenizer tokenizer) => [.. StateLoader.Capture(tokenizer).SelectMany(p => p.Value.Bytes.ToArray())];
    }

    private static bool IsScale(string key) => key.Contains("norm", StringComparison.Ordinal) && key.EndsWith(".weight", StringComparison.Ordinal);

    private static void Close(Tensor expected, Tensor actual)
    {
        Assert.Equal(expected.shape, actual.shape);
        var scale = expected.abs().max().item<double>();
        Assert.InRange((expected - actual.to_type(ScalarType.Float64)).abs().max().item<double>(), 0, 2e-5 * scale);
    }

    private static long[] Extents(string shape) => [.. shape.Trim('[', ']').Split(", ").Select(long.Parse)];

    /// <summary>What the published constructors make of the two settings, in no order.</summary>
    private static Dictionary<string, string> Listing()
    {
        var entries = new Dictionary<string, string>();
        int[] inputs = [1, .. Multipliers];
        Convolution("encoder.conv_in", 3, Ch, 3);
        for (var level = 0; level < 3; level++)
        {
            Block($"encoder.conv_blocks.{level}.res.0", Ch * inputs[level], Ch * Multipliers[level]);
        }

        Attention("encoder.conv_blocks.2.attn.0", Ch * 3);
        Convolution("encoder.conv_blocks.0.downsample.conv", Ch * 2, Ch * 2, 3);
        Convolution("encoder.conv_blocks.1.downsample.conv", Ch, Ch, 3);
        Middle("encoder", Ch * 3);
        Norm("encoder.norm_out", Ch * 3);
        Convolution("encoder.conv_out", Ch * 3, Latents, 3);

        var width = Ch * Multipliers[^1];
        Convolution("decoder.conv_in", Latents, width, 3);
        Middle("decoder", width);
        for (var level = 2; level >= 0; level--)
        {
            var at = $"decoder.conv_blocks.{2 - level}";
            for (var block = 0; block < 2; block++)
            {
                Block($"{at}.res.{block}", width, width = Ch * Multipliers[level]);
                if (level == 2)
                {
                    Attention($"{at}.attn.{block}", width);
                }
            }

            if (level > 0)
            {
                Convolution($"{at}.upsample.conv", width, width, 3);
            }
        }

        Norm("decoder.norm_out", width);
        Convolution("decoder.conv_out", width, 3, 3);
        entries["quantize.embedding.weight"] = "[24, 4]";
        Convolution("quant_conv", Latents, 4, 1);
        Convolution("post_quant_conv", 4, Latents, 1);
        return entries;

        void Norm(string name, int channels) => entries[name + ".weight"] = entries[name + ".bias"] = $"[{channels}]";

        void Convolution(string name, int from, int to, int kernel)
            => (entries[name + ".weight"], entries[name + ".bias"]) = ($"[{to}, {from}, {kernel}, {kernel}]", $"[{to}]");

        void Middle(string part, int channels)
        {
            Block(part + ".mid.0", channels, channels);
            Attention(part + ".mid.1", channels);
            Block(part + ".mid.2", channels, channels);
        }

        void Attention(string name, int channels)
        {
            Norm(name + ".norm", channels);
            foreach (var layer in (string[])["q", "k", "v", "proj_out"])
            {
                Convolution($"{name}.{layer}", channels, channels, 1);
            }
        }

        void Block(string name, int from, int to)
        {
            Norm(name + ".norm1", from);
            Convolution(name + ".conv1", from, to, 3);
            Norm(name + ".norm2", to);
            Convolution(name + ".conv2", to, to, 3);
            if (from != to)
            {
                Convolution(name + ".nin_shortcut", from, to, 1);
            }
        }
    }

    /// <summary>The network by names of weights and float64 functions, without any module of ours.</summary>
    private sealed class Plain(Dictionary<string, Tensor> weights)
    {
        public Tensor Latents(Tensor x)
        {
            x = Convolution("encoder.conv_in", x);
            for (var level = 0; level < 3; level++)
            {
                x = Block($"encoder.conv_blocks.{level}.res.0", x);
                x = level == 2 ? Attention("encoder.conv_blocks.2.attn.0", x)
                    : Convolution($"encoder.conv_blocks.{level}.downsample.conv", F.pad(x, [0, 1, 0, 1]), stride: 2, padding: 0);
            }

            return Convolution("quant_conv", Convolution("encoder.conv_out", F.silu(Norm("encoder.norm_out", Middle("encoder", x)))));
        }

        public Tensor Render(Tensor vectors)
        {
            var x = Middle("decoder", Convolution("decoder.conv_in", Convolution("post_quant_conv", vectors)));
            for (var level = 0; level < 3; level++)
            {
                for (var block = 0; block < 2; block++)
                {
                    x = Block($"decoder.conv_blocks.{level}.res.{block}", x);
                    x = level == 0 ? Attention($"decoder.conv_blocks.0.attn.{block}", x) : x;
                }

                x = level == 2 ? x : Convolution($"decoder.conv_blocks.{level}.upsample.conv", x.repeat_interleave(2, 2).repeat_interleave(2, 3));
            }

            return Convolution("decoder.conv_out", F.silu(Norm("decoder.norm_out", x)));
        }

        private Tensor Middle(string part, Tensor x) => Block(part + ".mid.2", Attention(part + ".mid.1", Block(part + ".mid.0", x)));

        private Tensor Block(string name, Tensor x)
        {
            var y = Convolution(name + ".conv1", F.silu(Norm(name + ".norm1", x)));
            y = Convolution(name + ".conv2", F.silu(Norm(name + ".norm2", y)));
            return y + (weights.ContainsKey(name + ".nin_shortcut.weight") ? Convolution(name + ".nin_shortcut", x) : x);
        }

        private Tensor Attention(string name, Tensor x)
        {
            var h = Norm(name + ".norm", x);
            var (q, k, v) = (Rows("q"), Rows("k"), Rows("v"));                                                     // [B, C, n]
            var shares = (q.transpose(1, 2).bmm(k) / Math.Sqrt(x.size(1))).softmax(2);                             // [B, n, n]
            return x + Convolution(name + ".proj_out", v.bmm(shares.transpose(1, 2)).view(x.shape));

            Tensor Rows(string layer) => Convolution($"{name}.{layer}", h).flatten(2);
        }

        private Tensor Norm(string name, Tensor x) => F.group_norm(x, 32, weights[name + ".weight"], weights[name + ".bias"], 1e-6);

        private Tensor Convolution(string name, Tensor x, long stride = 1, long? padding = null)
        {
            var weight = weights[name + ".weight"];
            var border = padding ?? (weight.size(2) / 2);
            return F.conv2d(x, weight, weights[name + ".bias"], strides: [stride, stride], padding: [border, border]);
        }
    }
}
