using System.Buffers.Binary;
using System.IO.Hashing;
using System.Runtime.Intrinsics;
using NextPatch.Core;
using NextPatch.Core.Files;
using NextPatch.Core.Imaging;
using SkiaSharp;

namespace NextPatch.Data.Imaging;

/// <summary>JPEG, PNG, WebP, GIF, BMP, PPM and PGM files into RGB, as Pillow's <c>convert("RGB")</c> sees them: alpha is dropped and not blended,
/// EXIF orientation and colour profiles are ignored, CMYK is converted plainly, 16-bit grey is clipped to 255, other 16-bit samples keep their high
/// byte.</summary>
/// <remarks>GIF, PPM and PGM are decoded here, the others by SkiaSharp, whose JPEG decoder is libjpeg-turbo with the settings of Pillow's: the bytes
/// are equal. Of an animation the first picture is taken. Known difference: some damaged JPEGs decode here that Pillow refuses, or finish
/// otherwise.</remarks>
public static class ImageDecoder
{
    // Larger than any photograph, small enough that a hostile header cannot take the machine's memory.
    private const long MaxPixels = 100_000_000;
    private const int MaxSide = 1 << 20;

    /// <summary>Larger files are refused.</summary>
    internal const long MaxFileBytes = 1L << 30;

    // A Huffman-coded block of 64 pixels takes at least one bit: 512 pixels in a byte.
    private const long MaxJpegPixelsPerByte = 1024;

    // Deflate makes at most 1032 bytes of one, and a byte holds at most eight pixels. WebP has no such bound.
    private const long MaxPixelsPerByte = 8 * 1032;

    // The IHDR chunk of a PNG file: type, width, height, bit depth, colour type, three more bytes, checksum.
    private const int HeaderAt = 12;
    private const int DepthAt = 24;
    private const int HeaderCrcAt = 29;

    /// <summary>Decodes a file.</summary>
    /// <exception cref="NextPatchException">The file is missing or cannot be read.</exception>
    /// <exception cref="DataFormatException">It is no image of a known format, damaged, truncated or too large; names the file.</exception>
    public static RgbImage Decode(string path) => Decode(ReadFile(path), path);

    /// <summary>Decodes the bytes of a file.</summary>
    /// <param name="file">The whole file.</param>
    /// <param name="name">What messages call it.</param>
    /// <exception cref="DataFormatException">It is no image of a known format, damaged, truncated or too large; names the file.</exception>
    public static RgbImage Decode(ReadOnlySpan<byte> file, string name)
    {
        var length = file.Length;
        if (GifPicture.IsGif(file))
        {
            return GifPicture.Decode(file, name, (width, height) => CheckSize(width, height, MaxPixelsPerByte, length, name));
        }

        if (PnmPicture.IsPnm(file))
        {
            return PnmPicture.Decode(file, name, (width, height) => CheckSize(width, height, MaxPixelsPerByte, length, name));
        }

        using var data = SKData.CreateCopy(file);
        using var codec = SKCodec.Create(data) ?? throw new DataFormatException($"'{name}' {Refusal(file)}. Remove, replace or convert it.");
        var bound = codec.EncodedFormat switch
        {
            SKEncodedImageFormat.Jpeg => MaxJpegPixelsPerByte,
            SKEncodedImageFormat.Webp => long.MaxValue,
            _ => MaxPixelsPerByte,
        };
        CheckSize(codec.Info.Width, codec.Info.Height, bound, length, name);
        if (codec.EncodedFormat == SKEncodedImageFormat.Jpeg && JpegEnding.IsMissing(file))
        {
            throw new DataFormatException($"'{name}' cannot be decoded as an image: it is truncated before its end marker. Remove or replace it.");
        }

        return codec.EncodedFormat == SKEncodedImageFormat.Png && IsGrey16(file) ? DecodeGrey16(file, name) : DecodeRgb(codec, name);
    }

    /// <summary>A whole file of a size that an image file may have.</summary>
    internal static byte[] ReadFile(string path)
    {
        try
        {
            RegularFile.Require(path);
            var length = new FileInfo(path).Length;
            return length <= MaxFileBytes
                ? File.ReadAllBytes(path)
                : throw new DataFormatException($"'{path}' has {length:N0} bytes; image files of more than {MaxFileBytes:N0} bytes are refused.");
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw new NextPatchException($"Image '{path}' cannot be read: {e.Message}", e);
        }
    }

    private static RgbImage DecodeRgb(SKCodec codec, string name)
    {
        using var bitmap = Pixels(codec, name);
        var rgb = GC.AllocateUninitializedArray<byte>(bitmap.Width * bitmap.Height * 3);
        DropAlpha(bitmap.GetPixelSpan(), rgb);
        return new RgbImage(bitmap.Width, bitmap.Height, rgb);
    }

    /// <summary>Every fourth byte is left out.</summary>
    internal static void DropAlpha(ReadOnlySpan<byte> rgba, Span<byte> rgb)
    {
        // Four pixels at a time; the last four bytes that a vector writes are overwritten by the next one.
        var order = Vector128.Create((byte)0, 1, 2, 4, 5, 6, 8, 9, 10, 12, 13, 14, 15, 15, 15, 15);
        var (from, to) = (0, 0);
        for (; to + Vector128<byte>.Count <= rgb.Length; from += 16, to += 12)
        {
            Vector128.Shuffle(Vector128.Create(rgba.Slice(from, 16)), order).CopyTo(rgb[to..]);
        }

        for (; to < rgb.Length; from += 4, to += 3)
        {
            rgba.Slice(from, 3).CopyTo(rgb[to..]);
        }
    }

    /// <summary>Pillow keeps 16-bit grey as integers, and its conversion to RGB clips them.</summary>
    /// <remarks>The decoder would keep the high bytes alone. Declared as 8-bit grey with alpha the same file has rows of the same layout: the high
    /// byte comes out as grey, the low byte as alpha.</remarks>
    private static RgbImage DecodeGrey16(ReadOnlySpan<byte> file, string name)
    {
        var disguised = file.ToArray();
        (disguised[DepthAt], disguised[DepthAt + 1]) = (8, 4);
        BinaryPrimitives.WriteUInt32BigEndian(disguised.AsSpan(HeaderCrcAt), Crc32.HashToUInt32(disguised.AsSpan(HeaderAt, HeaderCrcAt - HeaderAt)));
        using var data = SKData.CreateCopy(disguised);
        using var codec = SKCodec.Create(data) ?? throw new DataFormatException($"'{name}' {Refusal(file)}. Remove, replace or convert it.");
        using var bitmap = Pixels(codec, name);
        var image = new RgbImage(bitmap.Width, bitmap.Height);
        var rgba = bitmap.GetPixelSpan();
        for (var i = 0; i < image.Width * image.Height; i++)
        {
            image.Pixels.AsSpan(i * 3, 3).Fill(rgba[i * 4] > 0 ? byte.MaxValue : rgba[(i * 4) + 3]);
        }

        return image;
    }

    private static SKBitmap Pixels(SKCodec codec, string name)
    {
        // Without a colour space nothing is converted.
        var bitmap = new SKBitmap(new SKImageInfo(codec.Info.Width, codec.Info.Height, SKColorType.Rgba8888, SKAlphaType.Unpremul));
        var result = codec.GetPixels(bitmap.Info, bitmap.GetPixels());
        if (result == SKCodecResult.Success)
        {
            return bitmap;
        }

        bitmap.Dispose();
        throw new DataFormatException(
            $"'{name}' cannot be decoded as an image: it is {(result == SKCodecResult.IncompleteInput ? "truncated" : $"damaged ({result})")}. "
            + $"Remove or replace it.");
    }

    private static void CheckSize(int width, int height, long maxPixelsPerByte, int bytes, string name)
    {
        var pixels = (long)width * height;
        if (Math.Max(width, height) > MaxSide)
        {
            throw new DataFormatException($"'{name}' is {width}x{height}; images with a side of more than {MaxSide} pixels are refused.");
        }

        if (pixels > MaxPixels)
        {
            throw new DataFormatException($"'{name}' is {width}x{height}; images of more than {MaxPixels / 1_000_000} million pixels are refused.");
        }

        if (pixels / bytes > maxPixelsPerByte)
        {
            throw new DataFormatException(
                $"'{name}' cannot be decoded as an image: it claims {width}x{height} pixels but has only {bytes} bytes; it is truncated or damaged.");
        }
    }

    private static bool IsGrey16(ReadOnlySpan<byte> png) => png.Length > HeaderCrcAt + 4 && png[DepthAt] == 16 && png[DepthAt + 1] == 0;

    private static string Refusal(ReadOnlySpan<byte> file)
    {
        var start = file.Length >= 4 ? BinaryPrimitives.ReadUInt32BigEndian(file) : 0;
        return file.Length == 0 ? "is empty"
            : start is 0x49492A00 or 0x4D4D002A ? "is a TIFF file, which is not read"
            : file.Length >= 12 && file[4..8].SequenceEqual("ftyp"u8) ? "is an AVIF or HEIF file, which is not read"
            : "cannot be decoded as an image: it is no JPEG, PNG, WebP, GIF, BMP, PPM or PGM file, or its header is damaged";
    }
}
