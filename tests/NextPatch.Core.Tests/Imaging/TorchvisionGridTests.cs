using NextPatch.Core.Imaging;

namespace NextPatch.Core.Tests.Imaging;

public sealed class TorchvisionGridTests
{
    [Fact]
    public void Images_stand_two_pixels_apart_on_black_and_values_are_rounded()
    {
        // Three images of 1x2 pixels in rows of two: [-1, 0, 1] by channel, then values beyond the range, then 0.5.
        float[] planes = [-1, -1, 0, 0, 1, 1, -3, 5, -3, 5, -3, 5, 0.5f, 0.5f, 0.5f, 0.5f, 0.5f, 0.5f];
        var sheet = TorchvisionGrid.Compose(planes, 1, 2, 2);

        Assert.Equal((10, 8), (sheet.Width, sheet.Height));
        Assert.Equal([0, 128, 255], Pixel(sheet, 2, 2)); // 127.5 is rounded up
        Assert.Equal([0, 0, 0], Pixel(sheet, 6, 2));
        Assert.Equal([255, 255, 255], Pixel(sheet, 7, 2));
        Assert.Equal([191, 191, 191], Pixel(sheet, 3, 5));
        Assert.Equal(4 + 3 + 6, sheet.Pixels.Count(p => p > 0)); // nothing else is lit
    }

    [Fact]
    public void A_single_image_has_no_border_and_part_of_one_is_refused()
    {
        Assert.Equal([255, 0, 128], TorchvisionGrid.Compose([1, -1, 0], 1, 1, 4).Pixels);
        Assert.Throws<ArgumentException>(() => TorchvisionGrid.Compose(new float[5], 1, 2, 4));
        Assert.Throws<ArgumentException>(() => TorchvisionGrid.Compose([], 1, 2, 4));
    }

    private static byte[] Pixel(RgbImage image, int x, int y) => image.Pixels.AsSpan(((y * image.Width) + x) * 3, 3).ToArray();
}
