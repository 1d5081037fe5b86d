using NextPatch.Core.Sampling;
using NextPatch.Training.Tokenizer;
using static TorchSharp.torch;

namespace NextPatch.Training.Tests.Tokenizer;

[NoTensorLeaks]
public sealed class KMeansInitTests
{
    [Fact]
    public void Centres_are_unit_vectors_near_every_cluster()
    {
        using var scope = NewDisposeScope();
        manual_seed(1);
        var directions = eye(4);                                                                                         // [4, 4]
        var rows = nn.functional.normalize(directions.repeat(50, 1) + (0.05 * randn(200, 4)), dim: 1);                   // [200, 4]
        var centres = KMeansInit.Cluster(rows, 12, new CounterRandom(1, RandomStream.Tokenizer), 0);                  // [12, 4]
        Assert.True(centres.norm(1).sub(1).abs().max().item<float>() < 1e-5f);
        var best = nn.functional.linear(directions, centres).amax([1]);
        Assert.True(best.min().item<float>() > 0.99f, "a cluster has no centre near it");
    }

    [Fact]
    public void More_centres_than_rows_is_allowed()
    {
        using var scope = NewDisposeScope();
        var centres = KMeansInit.Cluster(eye(2), 5, new CounterRandom(1, RandomStream.Tokenizer), 0);
        Assert.Equal([5, 2], centres.shape);
        Assert.True(centres.isfinite().all().item<bool>());
    }
}
