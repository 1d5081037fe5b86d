namespace NextPatch.Core.Imaging;

/// <summary>An 8-bit RGB image: rows from top to bottom, interleaved R, G, B without padding.</summary>
public sealed class RgbImage
{
    /// <param name="width">Pixels per row.</param>
    /// <param name="height">Rows.</param>
    /// <param name="pixels">uint8 [height, width, 3], not copied.</param>
    /// <exception cref="ArgumentException">The array does not have width x height x 3 elements.</exception>
    public RgbImage(int width, int height, byte[] pixels)
    {
        ArgumentOutOfRangeException.ThrowIfNegativeOrZero(width);
        ArgumentOutOfRangeException.ThrowIfNegativeOrZero(height);
        if (pixels.Length != width * height * 3)
        {
            throw new ArgumentException(
                $"An RGB image of {width}x{height} needs {width * height * 3} bytes but got {pixels.Length}.", nameof(pixels));
        }

        Width = width;
        Height = height;
        Pixels = pixels;
    }

    /// <summary>A black image of this size, in pixels.</summary>
    public RgbImage(int width, int height)
        : this(width, height, new byte[width * height * 3])
    {
    }

    /// <summary>Pixels in a row.</summary>
    public int Width { get; }

    /// <summary>Rows.</summary>
    public int Height { get; }

    /// <summary>uint8 [Height, Width, 3]; the image's own storage.</summary>
    public byte[] Pixels { get; }

    /// <summary>Writes a PNG file; one of that name is replaced.</summary>
    /// <exception cref="IOException">It cannot be written.</exception>
    public void SavePng(string path) => File.WriteAllBytes(path, PngWriter.Encode(this));
}
