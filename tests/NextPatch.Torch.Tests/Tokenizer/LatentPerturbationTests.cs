using NextPatch.Core;
using NextPatch.Core.Configuration;
using NextPatch.Core.Sampling;
using NextPatch.Torch.Tokenizer;
using static TorchSharp.torch;

namespace NextPatch.Torch.Tests.Tokenizer;

[NoTensorLeaks]
public sealed class LatentPerturbationTests
{
    private const ulong Seed = 5;

    private static readonly TokenizerConfig Tokenizer = new() { CodebookSize = 11, CodeWidth = 3, ImageSide = 16 };

    [Theory]
    [InlineData(true, 0)]
    [InlineData(true, 15)]
    [InlineData(false, 40)]
    public void Codes_equal_a_plain_loop_over_images_and_positions(bool isUnitSphere, long step)
    {
        using var scope = NewDisposeScope();
        manual_seed(1);
        var config = new LatentPerturbationConfig
        {
            ImageShare = 0.5, CodeShare = 0.8, Neighbours = 6, AnnealStart = 10, AnnealEnd = 20, EndRatio = 0.5,
        };
        using var quantizer = new VectorQuantizer(Tokenizer with { NormalizeCodes = isUnitSphere });
        var latents = randn(16, 3, 2, 2);
        var plain = quantizer.forward(latents);
        var output = quantizer.Quantize(latents, new LatentPerturbation(config, Seed), step);

        var codebook = quantizer.get_parameter("embedding.weight")!;
        var expected = PlainLoop(
            Rows(Points(latents, isUnitSphere)), Rows(isUnitSphere ? nn.functional.normalize(codebook, dim: 1) : codebook), config, step);
        Assert.NotEqual(expected, plain.Codes.data<long>().ToArray());
        Assert.True(output.Vectors.allclose(quantizer.Lookup(tensor(expected).view(16, 4), 2, 2), atol: 1e-6));

        // Whoever counts codes or losses sees nothing of it.
        Assert.Equal(plain.Codes.data<long>().ToArray(), output.Codes.data<long>().ToArray());
        Assert.Equal(plain.CodebookLoss.item<float>(), output.CodebookLoss.item<float>());
        Assert.Equal(plain.CommitmentLoss.item<float>(), output.CommitmentLoss.item<float>());
    }

    [Fact]
    public void The_gradient_still_goes_straight_to_the_latents()
    {
        using var scope = NewDisposeScope();
        manual_seed(2);
        using var quantizer = new VectorQuantizer(Tokenizer with { NormalizeCodes = false });
        var latents = randn(4, 3, 2, 2).requires_grad_();
        var weights = randn(4, 3, 2, 2);
        var perturbation = new LatentPerturbation(new LatentPerturbationConfig { ImageShare = 1, Neighbours = 11, EndRatio = 1 }, Seed);
        (quantizer.Quantize(latents, perturbation, 0).Vectors * weights).sum().backward();
        using var gradient = latents.grad!;
        Assert.True(gradient.allclose(weights));
        Assert.Null(quantizer.get_parameter("embedding.weight")!.grad);
    }

    [Fact]
    public void Shares_are_kept_over_many_images_and_image_k_does_not_depend_on_its_batch()
    {
        using var scope = NewDisposeScope();
        manual_seed(3);
        var config = new LatentPerturbationConfig { ImageShare = 0.3, CodeShare = 0.6, Neighbours = 5, EndRatio = 1 };
        var perturbation = new LatentPerturbation(config, Seed);
        using var tokenizer = new VqTokenizer(Tokenizer, 1);
        var images = rand(512, 3, 16, 16) * 2 - 1;
        var before = tokenizer.Encode(images);
        var after = tokenizer.EncodePerturbed(images, perturbation, 0);

        var changed = before.ne(after);                                                            // [N, T]
        var perImage = changed.any(1).to(ScalarType.Float32).mean().item<float>();
        var perCode = changed.to(ScalarType.Float32).mean().item<float>();
        Assert.Equal(0.3, perImage, 0.08);                                                         // 4 standard deviations
        Assert.Equal(0.3 * 0.6 * 4 / 5, perCode, 0.05);                                            // one of five neighbours is the code itself
        Assert.True(tokenizer.EncodePerturbed(images.narrow(0, 200, 3), perturbation, 200).equal(after.narrow(0, 200, 3)).all().item<bool>());
        Assert.False(tokenizer.EncodePerturbed(images, new LatentPerturbation(config, Seed + 1), 0).equal(after).all().item<bool>());
    }

    [Fact]
    public void The_ratio_falls_on_a_line_as_published()
    {
        var config = new LatentPerturbationConfig { AnnealStart = 40, AnnealEnd = 120, EndRatio = 0.5, Neighbours = 100 };
        Assert.Equal([1, 1, 0.9875, 0.75, 0.5, 0.5], new long[] { 0, 40, 42, 80, 120, 1000 }.Select(config.RatioAt));
        Assert.Equal([100, 98, 50], new long[] { 40, 42, 121 }.Select(config.NeighboursAt));
        Assert.Equal(1, (config with { EndRatio = 0 }).NeighboursAt(200));
    }

    [Fact]
    public void Settings_that_cannot_work_are_named_together()
    {
        var error = Assert.Throws<ConfigException>(() => new LatentPerturbationConfig
        {
            ImageShare = -1, CodeShare = double.NaN, EndRatio = 2, Neighbours = 12, AnnealStart = 5, AnnealEnd = 4,
        }.Validate(11));
        Assert.Equal(5, error.Problems.Count);
        new LatentPerturbationConfig { Neighbours = 11 }.Validate(11);
    }

    private static long[] PlainLoop(float[][] latents, float[][] codebook, LatentPerturbationConfig config, long step)
    {
        var ratio = step < 10 ? 1 : step >= 20 ? 0.5 : 1 - ((step - 10) / 10.0 * 0.5);
        var random = new CounterRandom(Seed, RandomStream.Perturbation);
        var codes = new long[latents.Length];
        for (var image = 0L; image < latents.Length / 4; image++)
        {
            var item = (step << 32) + image;
            for (var t = 0; t < 4; t++)
            {
                var latent = latents[(image * 4) + t];
                var order = Enumerable.Range(0, codebook.Length).OrderBy(k => codebook[k].Zip(latent, (x, y) => (x - y) * (x - y)).Sum()).ToArray();
                var isReplaced = random.Uniform(item, 0) < config.ImageShare && random.Uniform(item, 1 + (2 * t)) < config.CodeShare * ratio;
                codes[(image * 4) + t] = isReplaced ? order[random.Below((int)(config.Neighbours * ratio), item, 2 + (2 * t))] : order[0];
            }
        }

        return codes;
    }

    private static Tensor Points(Tensor latents, bool isUnitSphere)
        => (isUnitSphere ? nn.functional.normalize(latents, dim: 1) : latents).permute(0, 2, 3, 1).reshape(-1, 3);

    private static float[][] Rows(Tensor matrix) => [.. matrix.detach().contiguous().data<float>().ToArray().Chunk((int)matrix.size(1))];
}
