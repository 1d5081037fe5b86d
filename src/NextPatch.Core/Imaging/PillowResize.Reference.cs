namespace NextPatch.Core.Imaging;

internal static partial class PillowResize
{
    /// <summary>The same in the order in which Pillow describes it, pixel by pixel.</summary>
    internal static RgbImage ResizeReference(RgbImage image, int width, int height, ResampleFilter filter)
    {
        var wide = width == image.Width
            ? image
            : Filter(image, new ResampleWeights(image.Width, width, filter, 0, width), width, image.Height, horizontal: true);
        return height == image.Height
            ? wide
            : Filter(wide, new ResampleWeights(image.Height, height, filter, 0, height), width, height, horizontal: false);
    }

    private static RgbImage Filter(RgbImage image, ResampleWeights weights, int width, int height, bool horizontal)
    {
        var result = new RgbImage(width, height);
        var stride = (horizontal ? 1 : image.Width) * 3;
        for (var y = 0; y < height; y++)
        {
            for (var x = 0; x < width; x++)
            {
                var (output, line) = horizontal ? (x, y * image.Width * 3) : (y, x * 3);
                var first = line + (weights.First(output) * stride);
                WeightedRows.SumReference(image.Pixels.AsSpan(first), stride, weights.Of(output), result.Pixels.AsSpan(((y * width) + x) * 3, 3));
            }
        }

        return result;
    }
}
