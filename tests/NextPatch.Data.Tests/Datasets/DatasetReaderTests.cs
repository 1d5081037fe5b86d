using NextPatch.Core;
using NextPatch.Data.Datasets;
using NextPatch.Data.Sources;

namespace NextPatch.Data.Tests.Datasets;

public sealed class DatasetReaderTests
{
    /// <summary>The nearest whole number of a share, at least one in each part of a class of two or more.</summary>
    [Theory]
    [InlineData(16, 0.1, 2)]
    [InlineData(14, 0.1, 1)]
    [InlineData(3, 0.01, 1)]
    [InlineData(3, 0.99, 2)]
    [InlineData(2, 0.5, 1)]
    [InlineData(1, 0.5, 0)]
    [InlineData(1000, 0.25, 250)]
    public void A_share_of_a_class_is_rounded_to_the_nearest(int count, double share, int expected)
        => Assert.Equal(expected, HeldOutChoice.Choose([.. Enumerable.Repeat(0, count)], 3, share).Count(h => h));

    [Fact]
    public void Missing_path_is_named()
        => Assert.Equal(
            "Dataset '/nowhere/at/all' does not exist.", Assert.Throws<NextPatchException>(() => DatasetReader.Open("/nowhere/at/all")).Message);

    [Fact]
    public void Unknown_layout_says_what_was_found_and_what_was_looked_for()
    {
        using var folder = new TemporaryFolder();
        File.WriteAllText(folder["notes.txt"], "hello");
        var error = Assert.Throws<NextPatchException>(() => DatasetReader.Open(folder.Path));
        Assert.Contains("no subfolders and 1 files", error.Message, StringComparison.Ordinal);
        Assert.Contains("train-images-idx3-ubyte", error.Message, StringComparison.Ordinal);
        Assert.Contains("data_batch_*.bin", error.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void Images_without_rows_are_refused()
    {
        using var folder = new TemporaryFolder();
        File.WriteAllBytes(folder["train-images-idx3-ubyte"], [0, 0, 8, 3, 0, 0, 0, 10, 0, 0, 0, 0, 0, 0, 0, 0]);
        File.WriteAllBytes(folder["train-labels-idx1-ubyte"], [0, 0, 8, 1, 0, 0, 0, 10, .. new byte[10]]);
        var error = Assert.Throws<DataFormatException>(() => DatasetReader.Open(folder.Path));
        Assert.Contains("images of 0 rows and 0 columns", error.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void Held_out_share_is_balanced_seeded_and_complete()
    {
        var all = ShapesDataset.Create(1, trainCount: 205, heldOutCount: 0).Train;
        var split = HeldOutChoice.Split(all, seed: 4, share: 0.1);
        Assert.Equal(205, split.Train.Count + split.HeldOut.Count);
        Assert.All(split.HeldOut.Labels.CountBy(l => l), c => Assert.Equal(2, c.Value));
        Assert.Equal(10, split.HeldOut.Labels.Distinct().Count());

        var images = Images(split.Train).Concat(Images(split.HeldOut)).Order(StringComparer.Ordinal);
        Assert.Equal(Images(all).Order(StringComparer.Ordinal), images);
        Assert.Equal(split.HeldOut.Pixels, HeldOutChoice.Split(all, 4, 0.1).HeldOut.Pixels);
        Assert.NotEqual(split.HeldOut.Pixels, HeldOutChoice.Split(all, 5, 0.1).HeldOut.Pixels);
    }

    [Fact]
    public void Every_class_keeps_images_in_both_parts()
    {
        var all = ShapesDataset.Create(1, trainCount: 20, heldOutCount: 0).Train;
        Assert.All([0.01, 0.99], share => Assert.Equal(10, HeldOutChoice.Split(all, 0, share).HeldOut.Labels.Distinct().Count()));
        Assert.Equal(0, HeldOutChoice.Split(all, 0, 0).HeldOut.Count);
    }

    private static IEnumerable<string> Images(ImageDataset dataset)
        => Enumerable.Range(0, dataset.Count).Select(i => $"{dataset.Labels[i]}:{Convert.ToBase64String(dataset.Image(i))}");
}
