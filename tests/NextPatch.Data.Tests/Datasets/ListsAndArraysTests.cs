using NextPatch.Core;
using NextPatch.Core.Checkpoints.Numpy;
using NextPatch.Core.Tensors;
using NextPatch.Data.Datasets;

namespace NextPatch.Data.Tests.Datasets;

public sealed class ListsAndArraysTests
{
    [Theory]
    [InlineData("l.csv", "path,label\n\"x/a, \"\"1\"\".png\",dog\nx/b.png,cat\n")]
    [InlineData("l.jsonl", "{\"file\": \"x/a, \\\"1\\\".png\", \"class\": \"dog\", \"tags\": []}\n\n{\"file\": \"x/b.png\", \"class\": \"cat\"}\n")]
    public void List_gives_images_in_its_own_order_and_classes_in_ordinal_order(string name, string text)
    {
        using var folder = new TemporaryFolder();
        SamplePictures.Write(folder["x/a, \"1\".png"], 0);
        SamplePictures.Write(folder["x/b.png"], 1);
        File.WriteAllText(folder[name], text);
        using var parts = DatasetReader.OpenParts(folder[name]);
        Assert.Equal(["cat", "dog"], parts.Train.ClassNames);
        Assert.Equal([1, 0], [parts.Train.Label(0), parts.Train.Label(1)]);
        Assert.Equal(SamplePictures.Pixels(0).Pixels, parts.Train.Decode(0).Pixels);
    }

    [Fact]
    public void Numbers_are_labels_as_they_are_and_a_missing_image_is_named()
    {
        using var folder = new TemporaryFolder();
        File.WriteAllText(folder["l.csv"], "image,label\na.png,3\nb.png,0\n");
        using var parts = DatasetReader.OpenParts(folder["l.csv"]);
        Assert.Equal(["0", "1", "2", "3"], parts.Train.ClassNames);
        Assert.Equal(3, parts.Train.Label(0));
        Assert.Contains($"'{folder["a.png"]}'", Assert.Throws<NextPatchException>(() => parts.Train.Decode(0)).Message, StringComparison.Ordinal);
    }

    /// <summary>As Keras publishes MNIST.</summary>
    [Fact]
    public void An_archive_of_several_arrays_of_images_names_them()
    {
        using var folder = new TemporaryFolder();
        using (var npz = new NpzWriter(folder["a.npz"]))
        {
            npz.Add("x_train", HostTensor.From<byte>(ElementType.UInt8, [3, 2, 2], new byte[12]));
            npz.Add("x_test", HostTensor.From<byte>(ElementType.UInt8, [1, 2, 2], new byte[4]));
        }

        var message = Assert.Throws<DataFormatException>(() => DatasetReader.OpenParts(folder["a.npz"])).Message;
        Assert.Contains("several arrays of images", message, StringComparison.Ordinal);
        Assert.Contains("x_train UInt8 [3, 2, 2], x_test", message, StringComparison.Ordinal);
    }

    [Fact]
    public void List_without_labels_is_one_class()
    {
        using var folder = new TemporaryFolder();
        File.WriteAllText(folder["l.jsonl"], "{\"file\": \"a.png\"}\n{\"file\": \"b.png\"}");
        using var parts = DatasetReader.OpenParts(folder["l.jsonl"]);
        Assert.Equal((1, 2), (parts.Train.ClassNames.Count, parts.Train.Count));
    }

    [Theory]
    [InlineData("l.csv", "path,label\na.png\n", "line 2: 1 fields")]
    [InlineData("l.csv", "name,label\na.png,1\n", "line 2: no image named")]
    [InlineData("l.csv", "path,label\na.png,1\nb.png,\n", "to some images and not to others")]
    [InlineData("l.csv", "path,label\na.png,99999999\n", "label 99999999")]
    [InlineData("l.jsonl", "{\"path\": \"a.png\"}\n[1]\n", "line 2: not a JSON object")]
    [InlineData("l.jsonl", "{\"path\"\n", "line 1: not a JSON object")]
    [InlineData("l.csv", "path,label\n", "lists no images")]
    public void Lines_that_are_not_understood_are_named(string name, string text, string expected)
    {
        using var folder = new TemporaryFolder();
        File.WriteAllText(folder[name], text);
        Assert.Contains(
            expected, Assert.ThrowsAny<NextPatchException>(() => DatasetReader.OpenParts(folder[name])).Message, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData(3)]
    [InlineData(1)]
    public void Npz_of_images_and_labels_is_read_in_place(int channels)
    {
        using var folder = new TemporaryFolder();
        var pixels = Enumerable.Range(0, 4 * 6 * 6 * channels).Select(i => (byte)(i * 7)).ToArray();
        using (var npz = new NpzWriter(folder["a.npz"]))
        {
            npz.Add("arr_0", HostTensor.From<byte>(ElementType.UInt8, [4, 6, 6, channels], pixels));
            npz.Add("labels", HostTensor.From<long>(ElementType.Int64, [4], [0L, 2, 1, 0]));
        }

        using var parts = DatasetReader.OpenParts(folder["a.npz"]);
        Assert.Equal((4, 6, 3), (parts.Train.Count, parts.Train.Side, parts.Train.ClassNames.Count));
        Assert.Equal(2, parts.Train.Label(1));
        var expected = pixels.AsSpan(36 * channels, 36 * channels).ToArray();
        Assert.Equal(channels == 3 ? expected : [.. expected.SelectMany(p => new[] { p, p, p })], parts.Train.Decode(1).Pixels);
        Assert.Equal(6, DatasetReader.Open(folder["a.npz"], heldOutShare: 0).Train.Side);
    }

    [Fact]
    public void Npz_without_images_or_with_other_labels_says_what_it_holds()
    {
        using var folder = new TemporaryFolder();
        using (var npz = new NpzWriter(folder["a.npz"]))
        {
            npz.Add("x", HostTensor.FromSingles([2], [1, 2]));
        }

        using (var npz = new NpzWriter(folder["b.npz"]))
        {
            npz.Add("arr_0", HostTensor.From<byte>(ElementType.UInt8, [1, 2, 2, 3], new byte[12]));
            npz.Add("y", HostTensor.From<long>(ElementType.Int64, [2], [0L, 1]));
        }

        Assert.Contains(
            "x Float32 [2]", Assert.Throws<DataFormatException>(() => DatasetReader.OpenParts(folder["a.npz"])).Message, StringComparison.Ordinal);
        Assert.Contains(
            "expected 1 integers", Assert.Throws<DataFormatException>(() => DatasetReader.OpenParts(folder["b.npz"])).Message,
            StringComparison.Ordinal);
    }

    [Fact]
    public void Cifar_100_takes_the_fine_label()
    {
        using var folder = new TemporaryFolder();
        var record = new byte[3074];
        (record[0], record[1], record[2], record[2 + 1024], record[2 + 2048]) = (4, 99, 11, 22, 33);
        File.WriteAllBytes(folder["train.bin"], [.. record, .. record]);
        File.WriteAllBytes(folder["test.bin"], record);
        using var parts = DatasetReader.OpenParts(folder.Path);
        Assert.Equal((2, 1, 100), (parts.Train.Count, parts.Test!.Count, parts.Train.ClassNames.Count));
        Assert.Equal("worm", parts.Train.ClassNames[parts.Train.Label(0)]);
        Assert.Equal([11, 22, 33], parts.Train.Decode(0).Pixels[..3]);
    }
}
