using NextPatch.Core.Imaging;
using NextPatch.Data.Sources;

namespace NextPatch.Data.Tests.Datasets;

public sealed class ImageViewsTests
{
    private static readonly RgbImage Image = Gradient(50, 40);

    [Fact]
    public void Flip_is_the_centre_crop_and_its_mirror_image()
    {
        var views = Write(ImageViews.Flip(16));
        var centre = ImageCrops.Centre(Image, 16);
        Assert.Equal(centre.Pixels, views[..768]);
        Assert.Equal(ImageCrops.Mirror(centre).Pixels, views[768..]);
        Assert.Equal(centre.Pixels, Write(ImageViews.Centre(16)));
    }

    [Fact]
    public void Ten_crops_come_from_a_larger_centre_crop()
    {
        var views = Write(ImageViews.Ten(16, 1.3));
        var square = ImageCrops.Centre(Image, 20);
        Assert.Equal(ImageCrops.Cut(square, 0, 0, 16, 16).Pixels, views[..768]);
        Assert.Equal(ImageCrops.Cut(ImageCrops.Mirror(square), 2, 2, 16, 16).Pixels, views[^768..]);
    }

    [Fact]
    public void Policies_are_those_of_manifests()
        => Assert.Equal(
            ["none", "flip", "ten-crop", "ten-crop 1.05"], new[]
            {
                ImageViews.Centre(8), ImageViews.Flip(8), ImageViews.Ten(8), ImageViews.Ten(8, 1.05),
            }.Select(v => v.Policy));

    private static byte[] Write(ImageViews views)
    {
        var bytes = new byte[views.Count * views.Side * views.Side * 3];
        views.Write(Image, bytes);
        return bytes;
    }

    private static RgbImage Gradient(int width, int height)
        => new(width, height, [.. Enumerable.Range(0, width * height * 3).Select(i => (byte)(i * 37 % 251))]);
}
