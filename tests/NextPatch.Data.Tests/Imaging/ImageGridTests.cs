using NextPatch.Core.Imaging;
using NextPatch.Data.Imaging;
using NextPatch.Data.Sources;

namespace NextPatch.Data.Tests.Imaging;

public sealed class ImageGridTests
{
    private static readonly RgbImage[] Images = [.. Enumerable.Range(0, 5).Select(ShapesDataset.Create(1, 5, 0).Train.ToImage)];

    [Theory]
    [InlineData(1)]
    [InlineData(3)]
    public void Every_image_lies_in_its_cell_enlarged_pixel_by_pixel(int scale)
    {
        var sheet = ImageGrid.Compose(Images, columns: 3, scale, padding: 4);
        Assert.Equal((4 + (3 * ((32 * scale) + 4)), 4 + (2 * ((32 * scale) + 4))), (sheet.Width, sheet.Height));
        for (var i = 0; i < Images.Length; i++)
        {
            var (left, top) = (4 + (i % 3 * ((32 * scale) + 4)), 4 + (i / 3 * ((32 * scale) + 4)));
            for (var y = 0; y < 32 * scale; y++)
            {
                for (var x = 0; x < 32 * scale; x++)
                {
                    Assert.Equal(Pixel(Images[i], x / scale, y / scale), Pixel(sheet, left + x, top + y));
                }
            }
        }
    }

    [Fact]
    public void Labels_and_captions_take_space_beside_and_below_the_images()
    {
        var plain = ImageGrid.Compose(Images, columns: 3);
        var labelled = ImageGrid.Compose(
            Images, columns: 3, rowLabels: ["circle", "star"], captions: ["a", "b", "c", "d", "a caption that is far too long"]);
        Assert.True(labelled.Width > plain.Width && labelled.Height > plain.Height);
        Assert.Contains((byte)230, labelled.Pixels);
        Assert.Equal(Pixel(Images[0], 7, 9), Pixel(labelled, labelled.Width - plain.Width + 2 + 7, 2 + 9));
    }

    [Fact]
    public void Text_is_drawn_as_its_letters()
    {
        var image = new RgbImage(11, 8);
        BitmapFont.Draw(image, "Tj", 0, 0, 1, 255);
        string[] expected =
        [
            "#####....#.",
            "..#........",
            "..#.....##.",
            "..#......#.",
            "..#......#.",
            "..#......#.",
            "..#......#.",
            ".......##..",
        ];
        var rows = Enumerable.Range(0, 8)
            .Select(y => string.Concat(Enumerable.Range(0, 11).Select(x => Pixel(image, x, y).Item1 == 255 ? '#' : '.')));
        Assert.Equal(expected, rows);
    }

    [Fact]
    public void Every_printable_character_has_its_own_glyph()
    {
        var drawn = Enumerable.Range(' ', 95).Select(c =>
        {
            var image = new RgbImage(5, 8);
            BitmapFont.Draw(image, ((char)c).ToString(), 0, 0, 1, 255);
            return Convert.ToBase64String(image.Pixels);
        });
        Assert.Equal(95, drawn.Distinct().Count());
    }

    [Fact]
    public void Wrong_counts_and_sizes_are_refused()
    {
        Assert.Throws<ArgumentException>(() => ImageGrid.Compose([], 1));
        Assert.Throws<ArgumentException>(() => ImageGrid.Compose([Images[0], new RgbImage(31, 32)], 2));
        Assert.Contains(
            "2 rows but got 1", Assert.Throws<ArgumentException>(() => ImageGrid.Compose(Images, 3, rowLabels: ["a"])).Message,
            StringComparison.Ordinal);
        Assert.Throws<ArgumentException>(() => ImageGrid.Compose(Images, 3, captions: ["a"]));
    }

    private static (byte, byte, byte) Pixel(RgbImage image, int x, int y)
    {
        var p = image.Pixels.AsSpan(((y * image.Width) + x) * 3, 3);
        return (p[0], p[1], p[2]);
    }
}
