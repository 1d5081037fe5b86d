using NextPatch.Core.Configuration;
using NextPatch.Torch.Tokenizer;
using static TorchSharp.torch;

namespace NextPatch.Torch.Tests.Tokenizer;

[NoTensorLeaks]
public sealed class HalvedTokenizerTests
{
    public static TheoryData<TokenizerArchitecture> Architectures => [TokenizerArchitecture.Small, TokenizerArchitecture.Vqgan];

    /// <summary>Channels that fill vectors and the odd ones at both ends; convolutions of libtorch have been wrong where they do not.</summary>
    [Theory]
    [MemberData(nameof(Architectures))]
    public void Images_and_gradients_are_those_of_float32_up_to_rounding(TokenizerArchitecture architecture)
    {
        var isVqgan = architecture == TokenizerArchitecture.Vqgan;
        var config = new TokenizerConfig
        {
            Architecture = architecture, ImageSide = 16, DownsamplingFactor = 4, CodebookSize = 32, LatentChannels = 32,
            Channels = isVqgan ? [32, 32, 64] : [32, 64], BlockCounts = isVqgan ? [1, 1, 1] : [1, 1],
        };
        using var scope = NewDisposeScope();
        using var tokenizer = new VqTokenizer(config, seed: 2);
        using var halved = new HalvedTokenizer(tokenizer);
        manual_seed(3);
        var images = (rand(4, 3, 16, 16) * 2) - 1;

        // Without quantisation: rounding may choose other codes.
        var wide = tokenizer.ReconstructContinuously(images);
        (wide - images).square().mean().backward();
        var expected = Gradients(tokenizer);
        tokenizer.zero_grad();
        var narrow = halved.ReconstructContinuously(images);
        (narrow - images).square().mean().backward();
        halved.CollectGradients();
        var actual = Gradients(tokenizer);

        Assert.Equal(ScalarType.Float32, narrow.dtype);
        Assert.InRange(Distance(narrow, wide), 0, 0.03);
        Assert.Equal(expected.Keys, actual.Keys);
        var all = Distance(cat([.. actual.Values.Select(g => g.flatten())]), cat([.. expected.Values.Select(g => g.flatten())]));
        Assert.InRange(all, 0, 0.05);
    }

    [Fact]
    public void Quantisation_sees_float32_latents_and_gives_the_codebook_its_gradient()
    {
        using var scope = NewDisposeScope();
        using var tokenizer = new VqTokenizer(new TokenizerConfig { ImageSide = 16 }, seed: 2);
        using var halved = new HalvedTokenizer(tokenizer);
        var output = halved.Reconstruct(rand(2, 3, 16, 16), perturbation: null, step: 0);
        Assert.Equal((ScalarType.Float32, ScalarType.Float32), (output.Images.dtype, output.Latents.dtype));
        output.QuantizationLoss().backward();
        using var gradient = tokenizer.get_parameter("quantize.embedding.weight")!.grad;
        Assert.NotNull(gradient);
    }

    private static double Distance(Tensor a, Tensor b) => ((a - b).norm() / b.norm()).item<float>();

    private static Dictionary<string, Tensor> Gradients(VqTokenizer tokenizer)
        => tokenizer.named_parameters().Where(p => p.parameter.grad is not null).ToDictionary(p => p.name, p => p.parameter.grad!.clone());
}
