using System.IO.Compression;
using NextPatch.Core;
using NextPatch.Core.Checkpoints.Numpy;
using NextPatch.Core.Generation;
using NextPatch.Core.Imaging;
using NextPatch.Core.Tensors;
using NextPatch.Evaluation.Protocol;

namespace NextPatch.Evaluation.Tests.Protocol;

public sealed class ImageSetTests
{
    [Fact]
    public void An_archive_gives_its_images_and_labels_in_order()
    {
        using var folder = new TemporaryFolder();
        using var images = Pictures.Npz(folder["a.npz"], 130, 5, labels: [.. Enumerable.Range(0, 130).Select(i => i % 3)]);

        Assert.Equal([64, 64, 2], images.Read().Select(b => b.Count));
        Assert.Equal(Pictures.Random(130, 5), Pictures.AllPixels(images));
        Assert.Equal([0, 1, 2, 0], images.Labels!.Take(4));
        Assert.Equal((130, (5, 5)), (images.Count, images.Size));
    }

    /// <summary>64 photographs of twelve megapixels would not fit an array.</summary>
    [Theory]
    [InlineData(256, 256, 64)]
    [InlineData(1000, 1000, 64)]
    [InlineData(3000, 4000, 7)]
    [InlineData(10_000, 10_000, 1)]
    public void Large_images_come_in_small_batches(int height, int width, int expected)
    {
        using var folder = new TemporaryFolder();
        using (var zip = ZipFile.Open(folder["a.npz"], ZipArchiveMode.Create))
        using (var member = zip.CreateEntry("samples.npy", CompressionLevel.Fastest).Open())
        {
            NpyFile.WriteHeader(member, ElementType.UInt8, [1, height, width, 3]);
            for (var row = 0; row < height; row++)
            {
                member.Write(new byte[width * 3]);
            }
        }

        using var images = ArrayImageSet.Open(folder["a.npz"]);
        Assert.Equal(expected, images.ImagesPerBatch);
    }

    [Fact]
    public void Large_images_are_given_out_in_such_batches()
    {
        using var folder = new TemporaryFolder();
        Pictures.Write(folder["a.npz"], [8, 3000, 4000, 3], new byte[8 * 3000 * 4000 * 3]);
        using var array = ArrayImageSet.Open(folder["a.npz"]);
        Assert.Equal([7, 1], array.Read().Select(b => b.Count));

        var png = PngWriter.Encode(new RgbImage(4000, 3000));
        Directory.CreateDirectory(folder["photos"]);
        foreach (var i in Enumerable.Range(0, 8))
        {
            File.WriteAllBytes(folder[$"photos/{i}.png"], png);
        }

        using var files = DatasetImageSet.Open(folder["photos"], part: null, side: null);
        Assert.Equal([7, 1], files.Read().Select(b => b.Count));
    }

    [Fact]
    public void A_large_part_of_the_features_lies_in_several_files_and_reads_as_one()
    {
        using var folder = new TemporaryFolder();
        using var images = Pictures.Npz(folder["a.npz"], 330, 5); // five batches of 64 and one of 10
        using var network = new FakeNetwork();
        var (file, count) = StoredFeatures.Write(folder["f"], [images], network, new Shard(0, 1), most: 130);
        Assert.Equal((330, "part-00001-of-00001-3.safetensors"), (count, Path.GetFileName(file)));
        Assert.Equal(3, Directory.GetFiles(folder["f"]).Length);

        using var stored = new StoredFeatures(folder["f"], new FakeNetwork());
        foreach (var batch in images.Read())
        {
            var expected = network.Extract(batch.Pixels, batch.Height, batch.Width);
            var found = stored.Extract(batch.Pixels, batch.Height, batch.Width);
            Assert.Equal(expected.Pooled, found.Pooled);
            Assert.Equal(expected.Spatial, found.Spatial);
            Assert.Equal(expected.Logits, found.Logits);
        }

        Assert.Equal(0, stored.Computed);
    }

    [Fact]
    public void A_part_that_is_run_again_leaves_no_file_of_the_earlier_run()
    {
        using var folder = new TemporaryFolder();
        using var images = Pictures.Npz(folder["a.npz"], 330, 5);
        StoredFeatures.Write(folder["f"], [images], new FakeNetwork { Name = "other" }, new Shard(0, 2), most: 64);
        StoredFeatures.Write(folder["f"], [images], new FakeNetwork(), new Shard(1, 2), most: 64);
        Assert.Equal(6, Directory.GetFiles(folder["f"]).Length);

        StoredFeatures.Write(folder["f"], [images], new FakeNetwork(), new Shard(0, 2));
        using var stored = new StoredFeatures(folder["f"], new FakeNetwork());
        Assert.All(images.Read(), batch => Assert.Equal(batch.Count, stored.Extract(batch.Pixels, batch.Height, batch.Width).Count));
        Assert.Equal(0, stored.Computed);
        Assert.Equal(4, Directory.GetFiles(folder["f"]).Length);
    }

    [Fact]
    public void A_compressed_archive_with_another_name_for_its_images_is_read_too()
    {
        using var folder = new TemporaryFolder();
        using (var zip = ZipFile.Open(folder["a.npz"], ZipArchiveMode.Create))
        using (var member = zip.CreateEntry("samples.npy", CompressionLevel.Optimal).Open())
        {
            NpyFile.WriteHeader(member, ElementType.UInt8, [70, 4, 6, 3]);
            member.Write(new byte[70 * 4 * 6 * 3]);
        }

        using var images = ArrayImageSet.Open(folder["a.npz"]);

        Assert.Equal((4, 6), images.Size);
        Assert.Equal(70 * 4 * 6 * 3, Pictures.AllPixels(images).Length);
    }

    [Theory]
    [InlineData(new long[] { 4, 8, 8, 1 }, "one channel")]
    [InlineData(new long[] { 4, 8, 8 }, "one channel")]
    [InlineData(new long[] { 4, 3, 8, 8 }, "transpose")]
    [InlineData(new long[] { 0, 8, 8, 3 }, "there is none")]
    public void Arrays_that_are_no_RGB_images_are_refused_with_a_reason(long[] shape, string reason)
    {
        using var folder = new TemporaryFolder();
        Pictures.Write(folder["a.npz"], shape, new byte[HostTensor.CountElements(shape)]);

        var error = Assert.Throws<DataFormatException>(() => ArrayImageSet.Open(folder["a.npz"]));

        Assert.Contains(reason, error.Message, StringComparison.Ordinal);
        Assert.Contains("expected RGB images", error.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void An_archive_without_images_says_what_it_holds()
    {
        using var folder = new TemporaryFolder();
        NpzFile.Write(folder["a.npz"], [new("codes", StoredTensor.From(HostTensor.From<int>(ElementType.Int32, [2], [1, 2])))]);

        Assert.Contains(
            "codes Int32 [2]", Assert.Throws<DataFormatException>(() => ArrayImageSet.Open(folder["a.npz"])).Message, StringComparison.Ordinal);
    }

    [Fact]
    public void Of_two_arrays_of_images_none_is_guessed()
    {
        using var folder = new TemporaryFolder();
        var images = new HostTensor(ElementType.UInt8, [2, 4, 4, 3], Pictures.Random(2, 4));
        NpzFile.Write(folder["a.npz"], [new("real", StoredTensor.From(images)), new("fake", StoredTensor.From(images))]);

        Assert.Contains(
            "real UInt8 [2, 4, 4, 3], fake UInt8", Assert.Throws<DataFormatException>(() => ArrayImageSet.Open(folder["a.npz"])).Message,
            StringComparison.Ordinal);
    }

    [Fact]
    public void Labels_must_be_as_many_as_images()
    {
        using var folder = new TemporaryFolder();

        Assert.Contains(
            "expected 5 integers", Assert.Throws<DataFormatException>(() => Pictures.Npz(folder["a.npz"], 5, 4, labels: [1, 2])).Message,
            StringComparison.Ordinal);
    }

    [Fact]
    public void A_folder_of_PNG_files_is_read_in_order()
    {
        using var folder = new TemporaryFolder();
        for (var i = 0; i < 70; i++)
        {
            Pictures.WritePng(folder[$"images/{i:D6}.png"], 6, 5, i);
        }

        using var images = DatasetImageSet.Open(folder["images"], part: null, side: null);

        Assert.Equal((70, (5, 6)), (images.Count, images.Size));
        Assert.Equal([64, 6], images.Read().Select(b => b.Count));
        var first = new byte[6 * 5 * 3];
        new Random(69).NextBytes(first);
        Assert.Equal(first, Pictures.AllPixels(images)[^first.Length..]);
        Assert.Empty(images.Warnings);
        Assert.Null(images.Labels);
    }

    [Fact]
    public void Images_of_different_sizes_are_refused_unless_they_are_cropped()
    {
        using var folder = new TemporaryFolder();
        Pictures.WritePng(folder["images/a.png"], 8, 8, 1);
        Pictures.WritePng(folder["images/b.png"], 9, 8, 2);
        using var mixed = DatasetImageSet.Open(folder["images"], null, side: null);
        using var cropped = DatasetImageSet.Open(folder["images"], null, side: 4);

        var error = Assert.Throws<DataFormatException>(() => Pictures.AllPixels(mixed));

        Assert.Contains("9x8", error.Message, StringComparison.Ordinal);
        Assert.Contains("ImageSize", error.Message, StringComparison.Ordinal);
        Assert.Equal(2 * 4 * 4 * 3, Pictures.AllPixels(cropped).Length);
    }

    [Fact]
    public void Parts_of_a_dataset_are_told_apart()
    {
        using var folder = new TemporaryFolder();
        foreach (var (path, seed) in new[] { ("train/x/1.png", 1), ("train/y/1.png", 2), ("val/x/1.png", 3), ("val/y/1.png", 4), ("val/y/2.png", 5) })
        {
            Pictures.WritePng(folder["data/" + path], 4, 4, seed);
        }

        using var train = DatasetImageSet.Open(folder["data"], null, null);
        using var test = DatasetImageSet.Open(folder["data"], "test", null);

        Assert.Equal((2, "train", 3, "test"), (train.Count, train.Part, test.Count, test.Part));
        Assert.Equal([0, 1, 1], test.Labels!);
        Assert.Throws<NextPatchException>(() => DatasetImageSet.Open(folder["data/val"], "test", null));
        Assert.Contains(
            "no part 'val'", Assert.Throws<ConfigException>(() => DatasetImageSet.Open(folder["data"], "val", null)).Message,
            StringComparison.Ordinal);
    }

    [Fact]
    public void An_empty_folder_is_refused()
    {
        using var folder = new TemporaryFolder();
        Directory.CreateDirectory(folder["empty"]);

        Assert.Contains(
            "empty", Assert.Throws<NextPatchException>(() => DatasetImageSet.Open(folder["empty"], null, null)).Message, StringComparison.Ordinal);
    }

    [Fact]
    public void JPEG_files_are_warned_about()
    {
        using var folder = new TemporaryFolder();
        Pictures.WritePng(folder["images/a.png"], 4, 4, 1);
        File.Move(folder["images/a.png"], folder["images/a.jpg"]); // the name alone decides

        using var images = DatasetImageSet.Open(folder["images"], null, null);

        Assert.Contains("JPEG", Assert.Single(images.Warnings), StringComparison.Ordinal);
    }
}
