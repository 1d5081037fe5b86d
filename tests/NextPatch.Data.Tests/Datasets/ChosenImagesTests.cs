using NextPatch.Core;
using NextPatch.Data.Datasets;

namespace NextPatch.Data.Tests.Datasets;

public sealed class ChosenImagesTests
{
    [Fact]
    public void Part_that_the_data_keep_comes_last_and_is_held_out()
    {
        using var folder = Tree(withVal: true);
        using var parts = DatasetReader.OpenParts(folder.Path, TestContext.Current.CancellationToken);
        var all = ChosenImages.From(parts, DatasetPart.All);
        Assert.Equal((22, 20), (all.Count, all.TrainCount));
        Assert.Equal(["train/a/0.png", "val/b/0.png"], new[] { 0, 21 }.Select(i => Relative(folder, all.PathOf(i))));
        Assert.Equal((1, SamplePictures.Pixels(1).Pixels[0]), (all.Label(21), all.Decode(21).Pixels[0]));
        Assert.Equal((20, 20), Counts(ChosenImages.From(parts, DatasetPart.Train)));
        Assert.Equal((2, 2), Counts(ChosenImages.From(parts, DatasetPart.Val)));
        Assert.Equal((22, 16), Counts(ChosenImages.From(parts, DatasetPart.All, heldOutShare: 0.2)));
    }

    [Fact]
    public void Held_out_share_is_taken_from_every_class_by_the_seed()
    {
        using var folder = Tree(withVal: false);
        using var parts = DatasetReader.OpenParts(folder.Path, TestContext.Current.CancellationToken);
        var chosen = ChosenImages.From(parts, DatasetPart.All, heldOutShare: 0.3, seed: 4);
        var held = Enumerable.Range(chosen.TrainCount, chosen.Count - chosen.TrainCount).ToArray();
        Assert.Equal([3, 3], held.GroupBy(chosen.Label).Select(g => g.Count()));
        Assert.Equal(20, Enumerable.Range(0, 20).Select(chosen.PathOf).Distinct().Count());
        Assert.Equal(Paths(chosen), Paths(ChosenImages.From(parts, DatasetPart.All, heldOutShare: 0.3, seed: 4)));
        Assert.NotEqual(Paths(chosen), Paths(ChosenImages.From(parts, DatasetPart.All, heldOutShare: 0.3, seed: 5)));

        // The same images that quickstart holds out.
        var split = DatasetReader.Open(folder.Path, side: 32, seed: 4, heldOutShare: 0.3, cancellationToken: TestContext.Current.CancellationToken);
        Assert.Equal(split.HeldOut.Labels, held.Select(chosen.Label));
        Assert.Equal(split.HeldOut.Image(0).ToArray(), chosen.Decode(held[0]).Pixels);
        Assert.Contains(
            "no part", Assert.Throws<NextPatchException>(() => ChosenImages.From(parts, DatasetPart.Val)).Message, StringComparison.Ordinal);
    }

    private static (int, int) Counts(ChosenImages images) => (images.Count, images.TrainCount);

    private static string[] Paths(ChosenImages images) => [.. Enumerable.Range(0, images.Count).Select(images.PathOf)];

    private static string Relative(TemporaryFolder folder, string path) => Path.GetRelativePath(folder.Path, path).Replace('\\', '/');

    private static TemporaryFolder Tree(bool withVal)
    {
        var folder = new TemporaryFolder();
        for (var i = 0; i < 20; i++)
        {
            SamplePictures.Write(folder[$"train/{(i < 10 ? "a" : "b")}/{i % 10}.png"], i);
        }

        for (var i = 0; withVal && i < 2; i++)
        {
            SamplePictures.Write(folder[$"val/{(i == 0 ? "a" : "b")}/0.png"], i);
        }

        return folder;
    }
}
