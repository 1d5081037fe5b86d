using NextPatch.Core.Patches;
using NextPatch.Torch.Patches;
using TorchSharp.Modules;
using static TorchSharp.torch;

namespace NextPatch.Torch.Tests.Patches;

[NoTensorLeaks]
public sealed class PatchLossTests
{
    /// <summary>The published way: logits repeated P times, mean cross-entropy, automatic gradients.</summary>
    [Theory]
    [InlineData(5, 1)]
    [InlineData(5, 4)]
    [InlineData(300_000, 4)] // a vocabulary so large that each chunk holds a few rows only
    public void Equals_cross_entropy_on_repeated_logits_with_every_gradient(int vocabulary, int codesPerPatch)
    {
        using var scope = NewDisposeScope();
        using var generator = new Generator(4);
        const int batch = 3, patches = 6, width = 8;
        var hidden = randn([batch, patches, width], generator: generator).requires_grad_();
        var head = new Parameter(randn([vocabulary, width], generator: generator));
        var targets = randint(vocabulary, [batch, patches, codesPerPatch], ScalarType.Int64, generator: generator);

        var logits = nn.functional.linear(hidden, head).unsqueeze(2).expand(-1, -1, codesPerPatch, -1);
        var expected = nn.functional.cross_entropy(logits.reshape(-1, vocabulary), targets.reshape(-1));
        expected.backward();
        var (expectedHidden, expectedHead) = (hidden.grad!.clone(), head.grad!.clone());
        head.grad = null;

        var (loss, gradient) = PatchLoss.Backward(hidden, head, targets);
        Assert.Equal(1, loss.item<float>() / expected.item<float>(), 1e-5);
        Assert.Equal(1, PatchLoss.Evaluate(hidden, head, targets).item<float>() / expected.item<float>(), 1e-5);
        AssertClose(expectedHidden, gradient, 2e-7 * Math.Sqrt(vocabulary)); // one sum in fp32 over the whole vocabulary, in another order
        AssertClose(expectedHead, head.grad!);
        head.grad = null;
    }

    /// <summary>loss = logsumexp(z) - sum_i w_i z[t_i] / sum_i w_i with w_i = (i + 1)^-A, by automatic gradients.</summary>
    [Fact]
    public void Target_weights_count_the_first_codes_more()
    {
        using var scope = NewDisposeScope();
        using var generator = new Generator(6);
        var hidden = randn([2, 3, 8], generator: generator).requires_grad_();
        var head = new Parameter(randn([5, 8], generator: generator));
        var targets = randint(5, [2, 3, 4], ScalarType.Int64, generator: generator);
        double[] w = [1, Math.Pow(2, -0.7), Math.Pow(3, -0.7), Math.Pow(4, -0.7)];

        var logits = nn.functional.linear(hidden, head);
        var shares = tensor([.. w.Select(v => (float)(v / w.Sum()))]);
        var expected = (logits.logsumexp(2) - logits.gather(2, targets).mul(shares).sum(2)).mean();
        expected.backward();
        var (expectedHidden, expectedHead) = (hidden.grad!.clone(), head.grad!.clone());
        head.grad = null;

        var (loss, gradient) = PatchLoss.Backward(hidden, head, targets, targetWeights: PatchTargetWeights.Create(4, 0.7));
        Assert.Equal(expected.item<float>(), loss.item<float>(), 1e-5f);
        AssertClose(expectedHidden, gradient);
        AssertClose(expectedHead, head.grad!);
        head.grad = null;
    }

    private static void AssertClose(Tensor expected, Tensor actual, double tolerance = 5e-5)
    {
        var (error, scale) = ((actual - expected).abs().max().item<float>(), expected.abs().max().item<float>());
        Assert.True(error <= tolerance * scale, $"off by {error} of {scale}");
    }

    [Fact]
    public void Micro_batches_add_up_to_the_batch()
    {
        using var scope = NewDisposeScope();
        using var generator = new Generator(5);
        var hidden = randn([4, 2, 8], generator: generator);
        var head = new Parameter(randn([11, 8], generator: generator));
        var targets = randint(11, [4, 2, 4], ScalarType.Int64, generator: generator);
        PatchLoss.Backward(hidden, head, targets);
        var whole = head.grad!.clone();
        head.grad = null;
        PatchLoss.Backward(hidden.narrow(0, 0, 1), head, targets.narrow(0, 0, 1), 0.25);
        PatchLoss.Backward(hidden.narrow(0, 1, 3), head, targets.narrow(0, 1, 3), 0.75);
        Assert.True((head.grad! - whole).abs().max().item<float>() < 1e-6f);
        head.grad = null;
    }

    [Fact]
    public void Grouping_averages_blocks_and_lists_their_codes()
    {
        using var scope = NewDisposeScope();
        var geometry = new PatchGeometry(6, 3);
        var grouping = new MeanPatchGrouping(geometry);
        var codes = arange(36, ScalarType.Int64).reshape(1, 36);
        var targets = IPatchGrouping.ByPatch(codes, grouping.Geometry).data<long>().ToArray();
        var means = grouping.Group(codes.to_type(ScalarType.Float32).unsqueeze(2)).data<float>().ToArray();
        for (var patch = 0; patch < geometry.PatchCount; patch++)
        {
            var members = Enumerable.Range(0, 9).Select(m => (long)geometry.CodeIndex(patch, m)).ToArray();
            Assert.Equal(members, targets[(patch * 9)..((patch + 1) * 9)]);
            Assert.Equal(members.Average(), means[patch], 1e-4);
        }
    }
}
