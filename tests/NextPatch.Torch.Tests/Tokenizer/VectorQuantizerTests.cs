using NextPatch.Core.Configuration;
using NextPatch.Torch.Tokenizer;
using static TorchSharp.torch;

namespace NextPatch.Torch.Tests.Tokenizer;

[NoTensorLeaks]
public sealed class VectorQuantizerTests
{
    [Fact]
    public void Each_latent_gets_its_nearest_code_and_the_losses_are_mean_squares_of_unit_vectors()
    {
        using var scope = NewDisposeScope();
        manual_seed(1);
        using var quantizer = new VectorQuantizer(new TokenizerConfig { CodebookSize = 7, CodeWidth = 3 });
        var latents = randn(2, 3, 2, 2) * 5;
        var output = quantizer.forward(latents);

        var codebook = Rows(nn.functional.normalize(quantizer.get_parameter("embedding.weight")!, dim: 1));
        var rows = Rows(nn.functional.normalize(latents, dim: 1).permute(0, 2, 3, 1).reshape(-1, 3));
        var codes = output.Codes.data<long>().ToArray();
        var sum = 0.0;
        for (var r = 0; r < rows.Length; r++)
        {
            var distances = codebook.Select(c => c.Zip(rows[r], (x, y) => (x - y) * (x - y)).Sum()).ToArray();
            Assert.Equal(Array.IndexOf(distances, distances.Min()), codes[r]);
            sum += distances.Min();
        }

        Assert.Equal(sum / (rows.Length * 3), output.CodebookLoss.item<float>(), 1e-6);
        Assert.Equal(sum / (rows.Length * 3), output.CommitmentLoss.item<float>(), 1e-6);
        Assert.True(output.Vectors.allclose(quantizer.Lookup(output.Codes, 2, 2), atol: 1e-6));
        Assert.True(output.Codes.equal(quantizer.Encode(latents)).all().item<bool>());
    }

    [Fact]
    public void Gradients_go_straight_to_latents_and_each_loss_moves_only_its_own_side()
    {
        using var scope = NewDisposeScope();
        manual_seed(2);
        using var quantizer = new VectorQuantizer(new TokenizerConfig { CodebookSize = 5, CodeWidth = 4 });
        var codebook = quantizer.get_parameter("embedding.weight")!;
        var latents = randn(1, 4, 2, 2).requires_grad_();

        quantizer.forward(latents).Vectors.square().mul(3).sum().backward();
        Assert.True(latents.grad!.abs().max().item<float>() > 0);
        Assert.Null(codebook.grad);

        latents.grad!.zero_();
        quantizer.forward(latents).CodebookLoss.backward();
        Assert.Equal(0f, latents.grad!.abs().max().item<float>());
        Assert.True(codebook.grad!.abs().max().item<float>() > 0);

        codebook.grad!.zero_();
        quantizer.forward(latents).CommitmentLoss.backward();
        Assert.True(latents.grad!.abs().max().item<float>() > 0);
        Assert.Equal(0f, codebook.grad!.abs().max().item<float>());
    }

    private static float[][] Rows(Tensor matrix)
        => [.. matrix.detach().contiguous().data<float>().ToArray().Chunk((int)matrix.size(1))];
}
