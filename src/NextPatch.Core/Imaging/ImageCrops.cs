using NextPatch.Core.Sampling;

namespace NextPatch.Core.Imaging;

/// <summary>Square crops as the published code makes them, equal to its bytes.</summary>
/// <remarks>Sources: <c>dataset/augmentation.py</c> of LlamaGen (after ADM) and torchvision's TenCrop. Sizes are rounded half to even, as Python
/// rounds.</remarks>
internal static class ImageCrops
{
    private const double SmallestRandomShare = 0.8;

    /// <summary>ADM's centre crop: halved by boxes while the smaller side is at least twice the target, then bicubic, then the middle.</summary>
    /// <param name="image">Any size.</param>
    /// <param name="size">Width and height of the result.</param>
    public static RgbImage Centre(RgbImage image, int size)
    {
        ArgumentOutOfRangeException.ThrowIfNegativeOrZero(size);
        var (halved, width, height) = Plan(image, size);
        return PillowResize.ResizeWindow(halved, width, height, ResampleFilter.Bicubic, (width - size) / 2, (height - size) / 2, size, size);
    }

    /// <summary>The random crop of tokenizer training: the smaller side becomes <paramref name="smallerSide"/>, then a square is cut out.</summary>
    /// <param name="image">Any size.</param>
    /// <param name="size">Width and height of the result.</param>
    /// <param name="smallerSide">At least <paramref name="size"/>; the published code draws from <see cref="RandomSides"/>.</param>
    /// <param name="top">First row of the square in the resized image.</param>
    /// <param name="left">First column.</param>
    /// <exception cref="ArgumentOutOfRangeException">The square does not lie in the resized image.</exception>
    public static RgbImage At(RgbImage image, int size, int smallerSide, int top, int left)
    {
        ArgumentOutOfRangeException.ThrowIfNegativeOrZero(size);
        ArgumentOutOfRangeException.ThrowIfLessThan(smallerSide, size);
        var (halved, width, height) = Plan(image, smallerSide);
        ArgumentOutOfRangeException.ThrowIfGreaterThan((uint)top, (uint)(height - size), nameof(top));
        ArgumentOutOfRangeException.ThrowIfGreaterThan((uint)left, (uint)(width - size), nameof(left));
        return PillowResize.ResizeWindow(halved, width, height, ResampleFilter.Bicubic, left, top, size, size);
    }

    /// <summary>A random crop; the same for the same image, stream and place.</summary>
    /// <param name="image">Any size.</param>
    /// <param name="size">Width and height of the result.</param>
    /// <param name="random">The stream; positions 0 to 2 of <paramref name="place"/> are used.</param>
    /// <param name="place">For instance the place in the stream of training images.</param>
    public static RgbImage Random(RgbImage image, int size, CounterRandom random, long place)
    {
        var (least, most) = RandomSides(size);
        return Random(image, size, least + random.Below(most - least + 1, place, 0), random, place);
    }

    /// <summary>A random crop of the image resized to a given smaller side.</summary>
    /// <param name="image">Any size.</param>
    /// <param name="size">Width and height of the result.</param>
    /// <param name="smallerSide">At least <paramref name="size"/>.</param>
    /// <param name="random">The stream; positions 1 and 2 of <paramref name="place"/> are used.</param>
    /// <param name="place">For instance the place in the stream of training images.</param>
    public static RgbImage Random(RgbImage image, int size, int smallerSide, CounterRandom random, long place)
    {
        var (width, height) = ScaledSize(image.Width, image.Height, smallerSide);
        return At(image, size, smallerSide, random.Below(height - size + 1, place, 1), random.Below(width - size + 1, place, 2));
    }

    /// <summary>Smallest and largest side, both included, among which the random crop draws.</summary>
    public static (int Least, int Most) RandomSides(int size) => (size, (int)Math.Ceiling(size / SmallestRandomShare));

    /// <summary>Side of the centre crop from which ten crops are cut: <c>int(size * range)</c>.</summary>
    public static int TenCropSide(int size, double range) => (int)(size * range);

    /// <summary>Four corners and the middle, then the same five of the mirrored image.</summary>
    /// <param name="image">At least <paramref name="size"/> in both directions.</param>
    /// <param name="size">Width and height of each crop, S.</param>
    /// <param name="destination">uint8 [10, S, S, 3]: top left, top right, bottom left, bottom right, centre; then of the mirror image.</param>
    /// <exception cref="ArgumentException">The destination has another length.</exception>
    public static void Ten(RgbImage image, int size, Span<byte> destination)
    {
        var (right, bottom, bytes) = (image.Width - size, image.Height - size, size * size * 3);
        if (destination.Length != 10 * bytes)
        {
            throw new ArgumentException($"Ten crops of {size}x{size} need {10 * bytes} bytes but got {destination.Length}.", nameof(destination));
        }

        ReadOnlySpan<(int Left, int Top)> places =
            [(0, 0), (right, 0), (0, bottom), (right, bottom), ((int)Math.Round(right / 2.0), (int)Math.Round(bottom / 2.0))];
        var mirrored = Mirror(image);
        for (var i = 0; i < places.Length; i++)
        {
            Copy(image, places[i].Left, places[i].Top, size, size, destination.Slice(i * bytes, bytes));
            Copy(mirrored, places[i].Left, places[i].Top, size, size, destination.Slice((places.Length + i) * bytes, bytes));
        }
    }

    /// <summary>Cuts out a rectangle.</summary>
    /// <exception cref="ArgumentOutOfRangeException">The rectangle does not lie in the image.</exception>
    public static RgbImage Cut(RgbImage image, int left, int top, int width, int height)
    {
        var pixels = GC.AllocateUninitializedArray<byte>(width * height * 3);
        Copy(image, left, top, width, height, pixels);
        return new RgbImage(width, height, pixels);
    }

    /// <summary>Left and right exchanged.</summary>
    public static RgbImage Mirror(RgbImage image)
    {
        var result = new RgbImage(image.Width, image.Height, GC.AllocateUninitializedArray<byte>(image.Pixels.Length));
        for (var y = 0; y < image.Height; y++)
        {
            var from = image.Pixels.AsSpan(y * image.Width * 3, image.Width * 3);
            var to = result.Pixels.AsSpan(y * image.Width * 3, image.Width * 3);
            for (int i = 0, j = to.Length - 3; j >= 0; i += 3, j -= 3)
            {
                to[j + 2] = from[i + 2];
                to[j + 1] = from[i + 1];
                to[j] = from[i];
            }
        }

        return result;
    }

    private static void Copy(RgbImage image, int left, int top, int width, int height, Span<byte> destination)
    {
        ArgumentOutOfRangeException.ThrowIfGreaterThan(width, image.Width);
        ArgumentOutOfRangeException.ThrowIfGreaterThan(height, image.Height);
        ArgumentOutOfRangeException.ThrowIfGreaterThan((uint)left, (uint)(image.Width - width), nameof(left));
        ArgumentOutOfRangeException.ThrowIfGreaterThan((uint)top, (uint)(image.Height - height), nameof(top));
        for (var y = 0; y < height; y++)
        {
            image.Pixels.AsSpan((((top + y) * image.Width) + left) * 3, width * 3).CopyTo(destination[(y * width * 3)..]);
        }
    }

    /// <summary>The image halved until its smaller side is below twice the target, and the size to which it is then resized.</summary>
    private static (RgbImage Halved, int Width, int Height) Plan(RgbImage image, int smallerSide)
    {
        while (Math.Min(image.Width, image.Height) >= 2 * smallerSide)
        {
            image = PillowResize.Resize(image, image.Width / 2, image.Height / 2, ResampleFilter.Box);
        }

        var (width, height) = ScaledSize(image.Width, image.Height, smallerSide);
        return (image, width, height);
    }

    private static (int Width, int Height) ScaledSize(int width, int height, int smallerSide)
    {
        while (Math.Min(width, height) >= 2 * smallerSide)
        {
            (width, height) = (width / 2, height / 2);
        }

        var scale = (double)smallerSide / Math.Min(width, height);
        return ((int)Math.Round(width * scale), (int)Math.Round(height * scale));
    }
}
