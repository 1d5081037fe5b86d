using CsCheck;
using NextPatch.Core;
using NextPatch.Core.Patches;
using NextPatch.Torch.Patches;
using static TorchSharp.torch;

namespace NextPatch.Torch.Tests.Patches;

[NoTensorLeaks]
public sealed class PatchGroupingsTests
{
    [Fact]
    public void Each_grouping_is_what_its_name_says()
        => Gen.Select(Gen.Int[1, 4], Gen.Int[1, 4], Gen.ULong).Sample((n, p, seed) =>
        {
            using var scope = NewDisposeScope();
            using var generator = new Generator(seed);
            var geometry = new PatchGeometry(n * p, p);
            const int width = 3;
            var embeddings = randn([2, n * n * p * p, width], generator: generator);
            var e = embeddings.data<float>().ToArray();
            foreach (var name in (string[])["mean", "sum", "scaled-mean", "max", "centre"])
            {
                var tokens = PatchGroupings.Create(name, geometry).Group(embeddings);
                Assert.Equal([2, geometry.PatchCount, width], tokens.shape);
                var actual = tokens.data<float>().ToArray();
                for (var i = 0; i < actual.Length; i++)
                {
                    var (image, patch, c) = (i / width / geometry.PatchCount, i / width % geometry.PatchCount, i % width);
                    float Member(int m) => e[(((image * n * n * p * p) + geometry.CodeIndex(patch, m)) * width) + c];
                    var members = Enumerable.Range(0, p * p).Select(Member).ToArray();
                    var expected = name switch
                    {
                        "mean" => members.Average(),
                        "sum" => members.Sum(),
                        "scaled-mean" => members.Average() * p,
                        "max" => members.Max(),
                        _ => members[(p / 2 * p) + (p / 2)],
                    };
                    Assert.Equal(expected, actual[i], 1e-4f);
                }
            }
        }, iter: 20);

    [Fact]
    public void Names_are_taken_once_and_unknown_ones_list_those_there_are()
    {
        Assert.Equal(["centre", "max", "mean", "scaled-mean", "sum"], PatchGroupings.Names);
        Assert.Throws<ArgumentException>(() => PatchGroupings.Register("mean", g => new MeanPatchGrouping(g)));
        var error = Assert.Throws<ConfigException>(() => PatchGroupings.Create("median", new PatchGeometry(4, 2)));
        Assert.Contains("max, mean", error.Message, StringComparison.Ordinal);
        Assert.Throws<ArgumentException>(() => new LinearPatchGrouping(new PatchGeometry(4, 2), [1, 2, 3]));
        Assert.True(PatchGroupings.IsLinear("centre"));
        Assert.False(PatchGroupings.IsLinear("max"));
    }
}
