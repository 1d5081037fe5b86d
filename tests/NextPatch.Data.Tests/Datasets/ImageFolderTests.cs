using NextPatch.Core;
using NextPatch.Core.Imaging;
using NextPatch.Data.Datasets;
using NextPatch.Data.Sources;
using SkiaSharp;

namespace NextPatch.Data.Tests.Datasets;

public sealed class ImageFolderTests
{
    [Fact]
    public void Png_of_the_right_size_comes_back_exactly_with_labels_in_ordinal_order()
    {
        using var folder = new TemporaryFolder();
        var shapes = ShapesDataset.Create(2, trainCount: 10, heldOutCount: 0).Train;
        Save(folder, "b/x.png", shapes.ToImage(0));
        Save(folder, "Z/x.PNG", shapes.ToImage(1));
        Save(folder, "a/2.png", shapes.ToImage(3));
        Save(folder, "a/1.png", shapes.ToImage(2));
        var (train, _) = DatasetReader.Open(folder.Path, heldOutShare: 0);

        Assert.Equal(["Z", "a", "b"], train.ClassNames);
        Assert.Equal([0, 1, 1, 2], train.Labels);
        Assert.Equal(new[] { 1, 2, 3, 0 }.SelectMany(i => shapes.Image(i).ToArray()), train.Pixels);
    }

    [Theory]
    [InlineData("test")]
    [InlineData("val")]
    public void Train_and_test_subfolders_are_the_two_parts(string testName)
    {
        using var folder = new TemporaryFolder();
        Save(folder, "train/cat/1.png", Flat(32, 32, 10));
        Save(folder, "train/dog/1.png", Flat(32, 32, 20));
        Save(folder, $"{testName}/cat/1.png", Flat(32, 32, 30));
        Save(folder, $"{testName}/dog/1.png", Flat(32, 32, 40));
        var (train, test) = DatasetReader.Open(folder.Path);
        Assert.Equal((2, 2), (train.Count, test.Count));
        Assert.Equal(30, test.Image(0)[0]);
    }

    [Fact]
    public void Test_part_with_other_classes_is_an_error_that_names_them()
    {
        using var folder = new TemporaryFolder();
        Save(folder, "train/cat/1.png", Flat(32, 32, 10));
        Save(folder, "test/dog/1.png", Flat(32, 32, 30));
        Assert.EndsWith("cat, dog.", Assert.Throws<NextPatchException>(() => DatasetReader.Open(folder.Path)).Message, StringComparison.Ordinal);
    }

    [Fact]
    public void Large_image_is_cropped_to_its_centre_and_averaged()
    {
        using var folder = new TemporaryFolder();
        // 400 x 128: the outer columns are white, the middle square is a fine checkerboard of 0 and 200.
        var image = Flat(400, 128, 255);
        for (var y = 0; y < 128; y++)
        {
            for (var x = 136; x < 264; x++)
            {
                image.Pixels.AsSpan(((y * 400) + x) * 3, 3).Fill((x + y) % 2 == 0 ? (byte)0 : (byte)200);
            }
        }

        Save(folder, "a/1.png", image);
        var (train, _) = DatasetReader.Open(folder.Path, side: 20);
        // As published: resized, then cropped, so that the border mixes with what lies outside.
        var inner = ImageCrops.Cut(train.ToImage(0), 2, 0, 16, 20);
        Assert.All(inner.Pixels, p => Assert.InRange(p, 97, 103));
    }

    [Fact]
    public void Small_image_is_enlarged_and_jpeg_and_grey_are_read()
    {
        using var folder = new TemporaryFolder();
        Directory.CreateDirectory(folder["a"]);
        using (var grey = new SKBitmap(new SKImageInfo(10, 14, SKColorType.Gray8, SKAlphaType.Opaque)))
        {
            grey.Erase(new SKColor(90, 90, 90));
            using var file = File.Create(folder["a/1.jpeg"]);
            grey.Encode(file, SKEncodedImageFormat.Jpeg, 95);
        }

        var (train, _) = DatasetReader.Open(folder.Path);
        Assert.Equal(32 * 32 * 3, train.Pixels.Length);
        Assert.All(train.Pixels, p => Assert.InRange(p, 88, 92));
    }

    [Fact]
    public void Alpha_is_dropped_not_blended()
    {
        using var folder = new TemporaryFolder();
        Directory.CreateDirectory(folder["a"]);
        using (var clear = new SKBitmap(new SKImageInfo(32, 32, SKColorType.Rgba8888, SKAlphaType.Unpremul)))
        {
            clear.Erase(new SKColor(200, 100, 50, 128));
            using var file = File.Create(folder["a/1.png"]);
            clear.Encode(file, SKEncodedImageFormat.Png, 100);
        }

        Assert.Equal([200, 100, 50], DatasetReader.Open(folder.Path).Train.Image(0)[..3].ToArray());
    }

    [Fact]
    public void Empty_class_folder_is_named()
    {
        using var folder = new TemporaryFolder();
        Save(folder, "cat/1.png", Flat(32, 32, 10));
        Directory.CreateDirectory(folder["dog"]);
        Assert.Contains(
            $"'{folder["dog"]}'", Assert.Throws<NextPatchException>(() => DatasetReader.Open(folder.Path)).Message, StringComparison.Ordinal);
    }

    [Fact]
    public void Folders_without_images_are_an_error()
    {
        using var folder = new TemporaryFolder();
        Directory.CreateDirectory(folder["dog"]);
        File.WriteAllText(Path.Combine(folder["dog"], "notes.txt"), "hello");
        Assert.Contains(
            "holds no images", Assert.Throws<NextPatchException>(() => DatasetReader.Open(folder.Path)).Message, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData(0)]
    [InlineData(20)]
    [InlineData(600)]
    public void Image_that_cannot_be_decoded_is_named(int keptBytes)
    {
        using var folder = new TemporaryFolder();
        var noise = new byte[64 * 64 * 3];
        for (var i = 0; i < noise.Length; i++)
        {
            noise[i] = (byte)(((uint)i * 2654435761u) >> 13);
        }

        Save(folder, "cat/1.png", new RgbImage(64, 64, noise));
        var path = folder["cat/1.png"];
        File.WriteAllBytes(path, File.ReadAllBytes(path)[..keptBytes]);
        Assert.Contains($"'{path}'", Assert.Throws<DataFormatException>(() => DatasetReader.Open(folder.Path)).Message, StringComparison.Ordinal);
    }

    [Fact]
    public void Reading_can_be_cancelled()
    {
        using var folder = new TemporaryFolder();
        Save(folder, "cat/1.png", Flat(32, 32, 10));
        Assert.Throws<OperationCanceledException>(() => DatasetReader.Open(folder.Path, cancellationToken: new CancellationToken(canceled: true)));
    }

    private static RgbImage Flat(int width, int height, byte value)
    {
        var image = new RgbImage(width, height);
        image.Pixels.AsSpan().Fill(value);
        return image;
    }

    private static void Save(TemporaryFolder folder, string name, RgbImage image)
    {
        Directory.CreateDirectory(Path.GetDirectoryName(folder[name])!);
        File.WriteAllBytes(folder[name], PngWriter.Encode(image));
    }
}
