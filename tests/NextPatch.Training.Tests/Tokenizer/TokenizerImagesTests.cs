using NextPatch.Core;
using NextPatch.Core.Imaging;
using NextPatch.Core.Sampling;
using NextPatch.Data.Datasets;
using NextPatch.Data.Sources;
using NextPatch.Training.Tokenizer;

namespace NextPatch.Training.Tests.Tokenizer;

public sealed class TokenizerImagesTests
{
    [Fact]
    public void A_batch_is_a_function_of_its_place()
    {
        using var folder = new TemporaryFolder();
        using var images = TokenizerImages.Open(TinyTokenizerRun.WriteImages(folder["data"]), TinyTokenizerRun.ImageOptions);
        var together = images.Batch(37, 6);
        Assert.Equal(together, Enumerable.Range(0, 6).SelectMany(i => images.Batch(42 - i, 1).Reverse()).Reverse());
        using var again = TokenizerImages.Open(Path.Combine(folder["data"], "images.npz"), TinyTokenizerRun.ImageOptions);
        Assert.Equal(together, again.Batch(37, 6));
        using var other = TokenizerImages.Open(Path.Combine(folder["data"], "images.npz"), TinyTokenizerRun.ImageOptions with { Seed = 6 });
        Assert.NotEqual(together, other.Batch(37, 6));
    }

    /// <summary>22x19 pixels, so the smaller side is drawn from 16 to 19 and no image is enlarged.</summary>
    [Fact]
    public void Crops_are_the_published_ones_of_sides_up_to_the_images_own()
    {
        using var folder = new TemporaryFolder();
        var path = TinyTokenizerRun.WriteImages(folder["data"]);
        using var images = TokenizerImages.Open(path, TinyTokenizerRun.ImageOptions);
        using var parts = DatasetReader.OpenParts(path);
        var random = new CounterRandom(TinyTokenizerRun.ImageOptions.Seed, RandomStream.Augmentation);
        var sides = new HashSet<int>();
        var mirrored = 0;
        for (var place = 0; place < 60; place++)
        {
            var image = parts.Train.Decode(int.Parse(images.PathAt(place).Split('[', ']')[1], System.Globalization.CultureInfo.InvariantCulture));
            var side = 16 + random.Below(4, place, 0);
            var (width, height) = ((int)Math.Round(22.0 * side / 19), side);
            var expected = ImageCrops.At(image, 16, side, random.Below(height - 16 + 1, place, 1), random.Below(width - 16 + 1, place, 2));
            var isMirrored = random.Uniform(place, 3) < 0.5;
            Assert.Equal((isMirrored ? ImageCrops.Mirror(expected) : expected).Pixels, images.Batch(place, 1));
            sides.Add(side);
            mirrored += isMirrored ? 1 : 0;
        }

        Assert.Equal([16, 17, 18, 19], sides.Order());
        Assert.InRange(mirrored, 15, 45);
    }

    [Fact]
    public void Images_that_are_kept_halved_give_the_same_crops()
    {
        using var folder = new TemporaryFolder();
        var path = TinyTokenizerRun.WriteImages(folder["data"]);
        var options = TinyTokenizerRun.ImageOptions with { Side = 4 }; // smaller sides 4 and 5: two halvings, the second of which 5 leaves out
        using var images = TokenizerImages.Open(path, options with { HasFlips = false });
        using var parts = DatasetReader.OpenParts(path);
        var random = new CounterRandom(options.Seed, RandomStream.Augmentation);
        for (var place = 0; place < 40; place++)
        {
            var image = parts.Train.Decode(int.Parse(images.PathAt(place).Split('[', ']')[1], System.Globalization.CultureInfo.InvariantCulture));
            Assert.Equal(ImageCrops.Random(image, 4, random, place).Pixels, images.Batch(place, 1));
        }
    }

    [Fact]
    public void No_epoch_has_the_order_of_another()
    {
        using var folder = new TemporaryFolder();
        using var images = TokenizerImages.Open(TinyTokenizerRun.WriteImages(folder["data"]), TinyTokenizerRun.ImageOptions);
        var count = images.Data.TrainingCount;
        Assert.Equal(
            60, Enumerable.Range(0, 60).Select(
                epoch => string.Join(",", Enumerable.Range(epoch * count, count).Select(p => images.PathAt(p)))).Distinct().Count());
    }

    [Fact]
    public void Each_epoch_shows_every_training_image_once_and_no_held_out_one()
    {
        using var folder = new TemporaryFolder();
        using var images = TokenizerImages.Open(TinyTokenizerRun.WriteImages(folder["data"]), TinyTokenizerRun.ImageOptions);
        Assert.Equal((30, 10, 10), (images.Data.TrainingCount, images.Data.HeldOutCount, images.Data.JudgedCount));
        var (first, second) = (Epoch(images, 0), Epoch(images, 1));
        Assert.Equal(30, first.Distinct().Count());
        Assert.Equal(first.Order(StringComparer.Ordinal), second.Order(StringComparer.Ordinal));
        Assert.NotEqual(first, second);
        Assert.Equal(10 * 16 * 16 * 3, images.ReadJudged().Length);
    }

    [Fact]
    public void A_bad_image_stops_the_run_or_is_replaced_and_counted()
    {
        using var folder = new TemporaryFolder();
        var shapes = ShapesDataset.Create(3, trainCount: 6, heldOutCount: 0).Train;
        foreach (var part in new[] { "train", "val" })
        {
            for (var i = 0; i < 6; i++)
            {
                Directory.CreateDirectory(Path.Combine(folder["data"], part, "a"));
                File.WriteAllBytes(Path.Combine(folder["data"], part, "a", $"{i}.png"), i == 2 ? [1, 2, 3] : PngWriter.Encode(shapes.ToImage(i)));
            }
        }

        using var failing = TokenizerImages.Open(folder["data"], new TokenizerImageOptions { Side = 16 });
        Assert.Contains("2.png", Assert.ThrowsAny<NextPatchException>(() => failing.Batch(0, 6)).Message, StringComparison.Ordinal);
        Assert.Contains(
            "2.png", Assert.ThrowsAny<NextPatchException>(() => failing.ReadJudged(TestContext.Current.CancellationToken)).Message,
            StringComparison.Ordinal);
        using var skipping = TokenizerImages.Open(folder["data"], new TokenizerImageOptions { Side = 16, OnBadImage = OnBadImage.Skip });
        Assert.Equal(6 * 16 * 16 * 3, skipping.Batch(0, 6).Length);
        Assert.Equal(1, skipping.BadCount);
        Assert.Contains("2.png", skipping.BadReasons.Single(), StringComparison.Ordinal);
        Assert.Equal(5 * 16 * 16 * 3, skipping.ReadJudged(TestContext.Current.CancellationToken).Length);
    }

    [Fact]
    public void Images_none_of_which_can_be_read_are_an_error()
    {
        using var folder = new TemporaryFolder();
        Directory.CreateDirectory(Path.Combine(folder["data"], "a"));
        File.WriteAllBytes(Path.Combine(folder["data"], "a", "1.png"), [1, 2, 3]);
        File.WriteAllBytes(Path.Combine(folder["data"], "a", "2.png"), [1, 2, 3]);
        using var images = TokenizerImages.Open(folder["data"], new TokenizerImageOptions { Side = 16, OnBadImage = OnBadImage.Skip });
        Assert.StartsWith("None of the ", Assert.Throws<NextPatchException>(() => images.Batch(0, 1)).Message, StringComparison.Ordinal);
    }

    private static List<string> Epoch(TokenizerImages images, int epoch)
        => [.. Enumerable.Range(epoch * 30, 30).Select(place => images.PathAt(place))];
}
