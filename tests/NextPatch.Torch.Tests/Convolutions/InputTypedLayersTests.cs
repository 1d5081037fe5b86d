using NextPatch.Core.Configuration;
using NextPatch.Torch.Adversarial;
using NextPatch.Torch.Convolutions;
using NextPatch.Torch.Perception;
using NextPatch.Torch.Tokenizer;
using TorchSharp;
using static TorchSharp.torch;
using static TorchSharp.torch.nn;

namespace NextPatch.Torch.Tests.Convolutions;

/// <summary>Layers and networks of float32 weights in bfloat16, judged by the same in float64.</summary>
/// <remarks>
/// bfloat16 has 8 bits: a rounding is off by 0.4 % at most, and a network rounds after each of its layers, forward and backward. How much that is was
/// found with the same networks in float64, rounded to bfloat16 behind every layer: about as much as bfloat16 itself is off by (docs/log.md,
/// 2026-11-28). Twice that is allowed here.
/// </remarks>
[NoTensorLeaks]
public sealed class InputTypedLayersTests
{
    public static TheoryData<TokenizerConfig, double, double> Tokenizers { get; } = new()
    {
        { Small([16, 16]), 0.034, 0.075 }, { Small([48, 80]), 0.034, 0.06 }, { Small([64, 128]), 0.028, 0.05 },
        { new TokenizerConfig { Architecture = TokenizerArchitecture.Vqgan, ImageSide = 16, LatentChannels = 32, Channels = [32, 32, 64],
            BlockCounts = [1, 1, 1] }, 0.09, 0.17 },
    };

    /// <summary>
    /// Of inputs and weights that bfloat16 holds, so that one rounding is left. 4 % because processors without bf16 dot products add up some
    /// gradients in bfloat16 (docs/log.md).
    /// </summary>
    [Theory]
    [InlineData(3, 64)]
    [InlineData(3, 6)]
    [InlineData(8, 128)]
    [InlineData(17, 3)]
    [InlineData(24, 48)]
    [InlineData(48, 1)]
    [InlineData(40, 24)]
    [InlineData(64, 80)]
    public void Values_and_gradients_of_a_layer_are_those_of_float64_rounded(int inputs, int outputs)
    {
        var threads = get_num_threads();
        Func<Module<Tensor, Tensor>>[] kinds =
        [
            () => Conv2d(inputs, outputs, 3, padding: 1), () => Conv2d(inputs, outputs, 3, stride: 2),
            () => Conv2d(inputs, outputs, 4, stride: 2, padding: 1), () => Conv2d(inputs, outputs, 4, padding: 1, bias: false),
            () => Conv2d(inputs, outputs, 1), () => Conv2d(inputs, outputs, 1, stride: 2),
            () => ConvTranspose2d(inputs, outputs, 4, stride: 2, padding: 1), () => Linear(9, outputs),
        ];
        for (var i = 0; i < 2 * kinds.Length; i++)
        {
            using var scope = NewDisposeScope();
            using var layer = kinds[i / 2]();
            set_num_threads(1 + (i % 2));
            layer.to(ScalarType.BFloat16).to(ScalarType.Float32);
            var x = randn(2, inputs, 9, 9).to(ScalarType.BFloat16);
            var narrow = Pass(layer, layer.Apply, x);
            var aligned = layer is TorchSharp.Modules.Conv2d convolution
                ? Pass(layer, input => AlignedConvolution.Forward(convolution, input), x)
                : narrow;
            layer.to(ScalarType.Float64);
            foreach (var (name, exact) in Pass(layer, layer.forward, x.to(ScalarType.Float64)))
            {
                foreach (var got in new[] { narrow[name], aligned[name] })
                {
                    var error = ((got.to(ScalarType.Float64) - exact).abs() / (exact.abs() + exact.square().mean().sqrt())).max().item<double>();
                    Assert.True(error < 0.04, $"{name} of {inputs}->{outputs}, layer {i / 2}, {1 + (i % 2)} threads: {error} apart");
                }
            }
        }

        set_num_threads(threads);
    }

    [Theory]
    [MemberData(nameof(Tokenizers))]
    public void A_tokenizer_reconstructs_and_learns_as_in_float64_up_to_rounding(TokenizerConfig config, double ofValues, double ofGradients)
    {
        using var scope = NewDisposeScope();
        using var narrow = new VqTokenizer(config, seed: 2) { ComputeType = ScalarType.BFloat16 };
        using var exact = new VqTokenizer(config, seed: 2);
        exact.to(ScalarType.Float64);
        var images = (rand(4, 3, 16, 16) * 2) - 1;
        var expected = Pass(exact, exact.ReconstructContinuously, images.to(ScalarType.Float64));
        foreach (var ordered in new[] { images, images, FrozenConvolution.ChannelsLast(images) })
        {
            RequireClose(Pass(narrow, narrow.ReconstructContinuously, ordered), expected, ofValues, ofGradients);
        }
    }

    [Fact]
    public void Codes_of_a_tokenizer_and_the_losses_of_its_codebook_are_float32()
    {
        using var scope = NewDisposeScope();
        using var tokenizer = new VqTokenizer(Small([16, 16]), seed: 2) { ComputeType = ScalarType.BFloat16 };
        var output = tokenizer.Reconstruct(rand(2, 3, 16, 16), perturbation: null, step: 0);
        Assert.All([output.Images, output.Latents, output.CodebookLoss, output.CommitmentLoss], t => Assert.Equal(ScalarType.Float32, t.dtype));
        Assert.Equal(tokenizer.Quantize(output.Latents).data<long>(), output.Codes.data<long>());
    }

    [Theory]
    [InlineData("PatchGAN", 32)]
    [InlineData("narrow PatchGAN", 24)]
    [InlineData("StyleGAN", 8)]
    public void A_discriminator_judges_and_learns_as_in_float64_up_to_rounding(string kind, int side)
    {
        manual_seed(4);
        using var scope = NewDisposeScope();
        using Module<Tensor, Tensor> discriminator =
            kind switch
            {
                "PatchGAN" => new PatchDiscriminator(),
                "StyleGAN" => new StyleGanDiscriminator(side),
                _ => new PatchDiscriminator(width: 24, depth: 2)
            };
        var images = ((rand(4, 3, side, side) * 2) - 1).to(ScalarType.BFloat16);
        var narrow = Pass(discriminator, discriminator.forward, images);
        discriminator.to(ScalarType.Float64);
        RequireClose(narrow, Pass(discriminator, discriminator.forward, images.to(ScalarType.Float64)), 0.02, 0.15);
    }

    private static TokenizerConfig Small(int[] channels) => new()
    {
        ImageSide = 16, CodebookSize = 12, CodeWidth = 4, Channels = channels, BlockCounts = [1, 1],
    };

    private static void RequireClose(Dictionary<string, Tensor> actual, Dictionary<string, Tensor> expected, double ofValues, double ofGradients)
    {
        Assert.Equal(expected.Keys, actual.Keys);
        Assert.InRange(Distance(actual["values"], expected["values"]), 0, ofValues);
        Assert.InRange(Distance(actual["input"], expected["input"]), 0, ofGradients);

        // Each parameter by itself, but for those that matter to none: a bias before a norm of single channels has no gradient.
        var least = 0.01 * expected.Where(p => p.Key is not ("values" or "input")).Max(p => p.Value.norm().item<double>());
        Assert.All(expected.Keys, name => Assert.InRange(Distance(actual[name], expected[name], least), 0, 1.5 * ofGradients));
    }

    /// <summary>Values, and the gradients of the input and of each parameter, of the product with fixed numbers.</summary>
    private static Dictionary<string, Tensor> Pass(Module module, Func<Tensor, Tensor> forward, Tensor images)
    {
        module.zero_grad();
        var x = images.detach().requires_grad_(true);
        var y = forward(x);
        Assert.Equal(x.dtype, y.dtype);
        manual_seed(5);
        (y * randn(y.shape).to(ScalarType.BFloat16).to(y.dtype)).sum().backward();
        var found = new Dictionary<string, Tensor> { ["values"] = y, ["input"] = x.grad! };
        foreach (var (name, parameter) in module.named_parameters().Where(p => p.parameter.grad is not null))
        {
            Assert.Equal(parameter.dtype, parameter.grad!.dtype);
            found[name] = parameter.grad!.clone();
        }

        return found;
    }

    private static double Distance(Tensor a, Tensor b, double least = 0)
        => ((a.to(ScalarType.Float64) - b).norm().item<double>()) / Math.Max(least, b.norm().item<double>());
}
