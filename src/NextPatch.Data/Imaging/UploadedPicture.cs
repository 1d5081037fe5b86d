using NextPatch.Core;
using NextPatch.Core.Imaging;
using SkiaSharp;

namespace NextPatch.Data.Imaging;

/// <summary>Pictures that clients send: PNG, JPEG or WebP of a bounded size, looked at before their pixels take memory.</summary>
internal static class UploadedPicture
{
    /// <summary>RGB; alpha is dropped.</summary>
    /// <param name="file">The whole file.</param>
    /// <param name="name">What messages call it.</param>
    /// <param name="maxSide">Most pixels of a side.</param>
    /// <exception cref="DataFormatException">Another format, damaged, truncated or larger.</exception>
    public static RgbImage Decode(ReadOnlySpan<byte> file, string name, int maxSide)
    {
        using (Open(file, name, maxSide))
        {
            return ImageDecoder.Decode(file, name);
        }
    }

    /// <summary>White where the picture is wholly transparent, black elsewhere.</summary>
    /// <inheritdoc cref="Decode"/>
    /// <exception cref="DataFormatException">As there, or nothing is transparent because the picture has no alpha.</exception>
    public static RgbImage DecodeTransparency(ReadOnlySpan<byte> file, string name, int maxSide)
    {
        using var codec = Open(file, name, maxSide);
        if (codec.Info.AlphaType == SKAlphaType.Opaque)
        {
            throw new DataFormatException($"'{name}' has no alpha channel; pixels of alpha 0 say what is drawn anew.");
        }

        using var bitmap = new SKBitmap(new SKImageInfo(codec.Info.Width, codec.Info.Height, SKColorType.Rgba8888, SKAlphaType.Unpremul));
        if (codec.GetPixels(bitmap.Info, bitmap.GetPixels()) is var result and not SKCodecResult.Success)
        {
            throw new DataFormatException($"'{name}' cannot be decoded as an image: it is damaged or truncated ({result}).");
        }

        var mask = new RgbImage(bitmap.Width, bitmap.Height);
        var rgba = bitmap.GetPixelSpan();
        for (var i = 0; i < mask.Width * mask.Height; i++)
        {
            mask.Pixels.AsSpan(i * 3, 3).Fill(rgba[(i * 4) + 3] == 0 ? byte.MaxValue : (byte)0);
        }

        return mask;
    }

    private static SKCodec Open(ReadOnlySpan<byte> file, string name, int maxSide)
    {
        using var data = SKData.CreateCopy(file);
        var codec = SKCodec.Create(data);
        var problem = codec?.EncodedFormat switch
        {
            SKEncodedImageFormat.Png or SKEncodedImageFormat.Jpeg or SKEncodedImageFormat.Webp => codec.Info.Width > maxSide
                || codec.Info.Height > maxSide
                ? $"is {codec.Info.Width}x{codec.Info.Height}; at most {maxSide} pixels a side are taken" : null,
            _ => "is no PNG, JPEG or WebP picture",
        };
        if (problem is null)
        {
            return codec!;
        }

        codec?.Dispose();
        throw new DataFormatException($"'{name}' {problem}.");
    }
}
