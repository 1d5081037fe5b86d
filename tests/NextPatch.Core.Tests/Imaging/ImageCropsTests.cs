using CsCheck;
using NextPatch.Core.Imaging;
using NextPatch.Core.Sampling;

namespace NextPatch.Core.Tests.Imaging;

public sealed class ImageCropsTests
{
    [Theory]
    [InlineData(500, 375, 64)]
    [InlineData(63, 200, 64)]
    [InlineData(129, 128, 64)]
    [InlineData(7, 5, 5)]
    public void Centre_crop_is_the_published_recipe(int width, int height, int size)
    {
        var image = Noise(width, height);
        var step = image;
        while (Math.Min(step.Width, step.Height) >= 2 * size)
        {
            step = PillowResize.ResizeReference(step, step.Width / 2, step.Height / 2, ResampleFilter.Box);
        }

        var scale = (double)size / Math.Min(step.Width, step.Height);
        step = PillowResize.ResizeReference(step, (int)Math.Round(step.Width * scale), (int)Math.Round(step.Height * scale), ResampleFilter.Bicubic);
        step = ImageCrops.Cut(step, (step.Width - size) / 2, (step.Height - size) / 2, size, size);
        Assert.Equal(step.Pixels, ImageCrops.Centre(image, size).Pixels);
    }

    [Fact]
    public void Ten_crops_are_corners_and_middle_of_the_image_and_of_its_mirror()
    {
        // 25 pixels to spare: the middle starts at 12, because halves are rounded to even.
        var image = Noise(31, 29);
        var crops = new byte[10 * 108];
        ImageCrops.Ten(image, 6, crops);
        (int Left, int Top)[] places = [(0, 0), (25, 0), (0, 23), (25, 23), (12, 12)];
        for (var i = 0; i < 5; i++)
        {
            Assert.Equal(ImageCrops.Cut(image, places[i].Left, places[i].Top, 6, 6).Pixels, crops[(i * 108)..((i + 1) * 108)]);
            Assert.Equal(
                ImageCrops.Cut(ImageCrops.Mirror(image), places[i].Left, places[i].Top, 6, 6).Pixels, crops[((5 + i) * 108)..((6 + i) * 108)]);
        }
    }

    [Theory]
    [InlineData(256, 1.1, 281)]
    [InlineData(256, 1.05, 268)]
    [InlineData(384, 1.1, 422)]
    public void Ten_crop_side_is_cut_off_not_rounded(int size, double range, int side) => Assert.Equal(side, ImageCrops.TenCropSide(size, range));

    [Fact]
    public void Mirror_exchanges_left_and_right_and_undoes_itself()
    {
        Assert.Equal([4, 5, 6, 1, 2, 3], ImageCrops.Mirror(new RgbImage(2, 1, [1, 2, 3, 4, 5, 6])).Pixels);
        var image = Noise(9, 4);
        Assert.Equal(image.Pixels, ImageCrops.Mirror(ImageCrops.Mirror(image)).Pixels);
    }

    [Fact]
    public void Random_crop_depends_on_seed_and_place_alone_and_fits_any_image()
        => (from width in Gen.Int[1, 60]
            from height in Gen.Int[1, 60]
            from size in Gen.Int[1, 24]
            from place in Gen.Long[0, long.MaxValue]
            select (width, height, size, place)).Sample(c =>
            {
                var image = Noise(c.width, c.height);
                var random = new CounterRandom(3, RandomStream.Tokenizer);
                var crop = ImageCrops.Random(image, c.size, random, c.place);
                return crop.Width == c.size && crop.Height == c.size
                    && crop.Pixels.AsSpan().SequenceEqual(ImageCrops.Random(image, c.size, random, c.place).Pixels);
            }, iter: 300);

    [Fact]
    public void Random_crops_differ_from_place_to_place()
    {
        var image = Noise(50, 40);
        var random = new CounterRandom(3, RandomStream.Tokenizer);
        Assert.True(Enumerable.Range(0, 20).Select(i => Convert.ToBase64String(
            ImageCrops.Random(image, 16, random, i).Pixels)).Distinct().Count() > 15);
    }

    [Fact]
    public void Rectangles_outside_the_image_are_refused()
    {
        var image = Noise(10, 8);
        Assert.Throws<ArgumentOutOfRangeException>(() => ImageCrops.Cut(image, 5, 0, 6, 2));
        Assert.Throws<ArgumentOutOfRangeException>(() => ImageCrops.Cut(image, -1, 0, 2, 2));
        Assert.Throws<ArgumentOutOfRangeException>(() => ImageCrops.Ten(image, 9, new byte[2430]));
        Assert.Throws<ArgumentException>(() => ImageCrops.Ten(image, 8, new byte[100]));
        Assert.Throws<ArgumentOutOfRangeException>(() => ImageCrops.At(image, 8, 8, top: 1, left: 0));
        Assert.Throws<ArgumentOutOfRangeException>(() => ImageCrops.At(image, 9, 8, top: 0, left: 0));
    }

    private static RgbImage Noise(int width, int height)
    {
        var image = new RgbImage(width, height);
        for (var i = 0; i < image.Pixels.Length; i++)
        {
            image.Pixels[i] = (byte)(((uint)i * 2654435761u) >> 13);
        }

        return image;
    }
}
