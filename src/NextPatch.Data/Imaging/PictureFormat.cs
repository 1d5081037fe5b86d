using NextPatch.Core.Imaging;
using SkiaSharp;

namespace NextPatch.Data.Imaging;

/// <summary>How pictures are stored.</summary>
internal enum PictureFormat
{
    /// <summary>Every bit kept, and text of how the picture came about.</summary>
    Png,

    /// <summary>Lossy, quality 95 of 100.</summary>
    Webp,

    /// <summary>Lossy, quality 95 of 100.</summary>
    Jpeg,
}

/// <summary>Pictures into files of any <see cref="PictureFormat"/>.</summary>
internal static class PictureEncoder
{
    private const int Quality = 95;

    /// <summary>The ending of such a file, with its dot.</summary>
    public static string Extension(PictureFormat format) => format switch
    {
        PictureFormat.Jpeg => ".jpg",
        PictureFormat.Webp => ".webp",
        _ => ".png",
    };

    /// <summary>The bytes of a file.</summary>
    /// <param name="image">RGB.</param>
    /// <param name="format">Of the file.</param>
    /// <param name="text">Metadata; only PNG files keep it.</param>
    /// <param name="quality">Of lossy formats, 0 to 100.</param>
    public static byte[] Encode(RgbImage image, PictureFormat format, IReadOnlyDictionary<string, string> text, int quality = Quality)
    {
        if (format == PictureFormat.Png)
        {
            using var stream = new MemoryStream();
            PngWriter.Write(stream, image, text);
            return stream.ToArray();
        }

        using var bitmap = new SKBitmap(new SKImageInfo(image.Width, image.Height, SKColorType.Rgba8888, SKAlphaType.Opaque));
        var pixels = bitmap.GetPixelSpan();
        for (int from = 0, to = 0; from < image.Pixels.Length; from += 3, to += 4)
        {
            image.Pixels.AsSpan(from, 3).CopyTo(pixels[to..]);
            pixels[to + 3] = byte.MaxValue;
        }

        using var data = bitmap.Encode(format == PictureFormat.Jpeg ? SKEncodedImageFormat.Jpeg : SKEncodedImageFormat.Webp, quality);
        return data.ToArray();
    }
}
