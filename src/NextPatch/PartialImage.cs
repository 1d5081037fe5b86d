using NextPatch.Core.Imaging;

namespace NextPatch;

/// <summary>An image while it is drawn, after another row of its grid.</summary>
public sealed class PartialImage
{
    private readonly RgbImage _image;

    internal PartialImage(RgbImage image) => _image = image;

    /// <summary>The request's <see cref="ImageRequest.FirstIndex"/> plus the place in it.</summary>
    public required long Index { get; init; }

    /// <summary>Rows of codes that are drawn.</summary>
    public required int Rows { get; init; }

    /// <summary>Rows of the whole grid; the last partial image is the image.</summary>
    public required int GridSide { get; init; }

    /// <summary>Codes of those rows, row-major.</summary>
    public required IReadOnlyList<int> Codes { get; init; }

    /// <summary>
    /// uint8 [Height, Width, 3]; below what is drawn its mean colour. The last lines that are drawn still change, because pixels depend on codes
    /// around them.
    /// </summary>
    public ReadOnlyMemory<byte> Pixels => _image.Pixels;

    /// <summary>Pixels per row.</summary>
    public int Width => _image.Width;

    /// <summary>Rows of pixels.</summary>
    public int Height => _image.Height;

    /// <summary>Writes a PNG file.</summary>
    /// <param name="path">A file of that name is replaced.</param>
    /// <exception cref="IOException">It cannot be written.</exception>
    public void SavePng(string path) => _image.SavePng(path);
}
