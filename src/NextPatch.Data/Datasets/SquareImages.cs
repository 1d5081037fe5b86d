using System.Runtime.InteropServices;
using NextPatch.Core;
using NextPatch.Core.Checkpoints;
using SkiaSharp;

namespace NextPatch.Data.Datasets;

/// <summary>Image files and pixels into square RGB images of a given side, by SkiaSharp.</summary>
internal static class SquareImages
{
    // Larger than any photograph, small enough that a hostile header cannot take the machine's memory.
    private const long MaxPixels = 100_000_000;

    /// <summary>Storage for a dataset, uint8 [count, side, side, 3].</summary>
    public static byte[] Allocate(int count, int side)
    {
        var bytes = (long)count * side * side * 3;
        return bytes <= Array.MaxLength
            ? new byte[bytes]
            : throw new NextPatchException(
                $"{count} images of {side}x{side} need {bytes / 1e9:0.0} GB in memory; at most {Array.MaxLength / 1e9:0.0} GB can be held. Choose a smaller side.");
    }

    /// <summary>Decodes a file, crops its centre to a square and resizes. Alpha, EXIF orientation and colour profiles are ignored, as in the published code.</summary>
    /// <param name="path">A JPEG or PNG file.</param>
    /// <param name="side">Width and height of the result.</param>
    /// <param name="destination">uint8 [side, side, 3].</param>
    /// <exception cref="DataFormatException">The file cannot be decoded, is truncated or too large.</exception>
    public static void Decode(string path, int side, Span<byte> destination)
    {
        using var codec = SKCodec.Create(path, out var opened)
            ?? throw new DataFormatException($"'{path}' cannot be decoded as an image ({opened}). Remove or replace it.");
        if ((long)codec.Info.Width * codec.Info.Height > MaxPixels)
        {
            throw new DataFormatException($"'{path}' is {codec.Info.Width}x{codec.Info.Height}; images of more than {MaxPixels / 1_000_000} million pixels are refused.");
        }

        using var bitmap = new SKBitmap(new SKImageInfo(codec.Info.Width, codec.Info.Height, SKColorType.Rgba8888, SKAlphaType.Unpremul));
        var result = codec.GetPixels(bitmap.Info, bitmap.GetPixels());
        if (result != SKCodecResult.Success)
        {
            throw new DataFormatException($"'{path}' cannot be decoded as an image ({result}). Remove or replace it.");
        }

        MakeOpaque(bitmap);
        CropAndResize(bitmap, side, destination);
    }

    /// <summary>Resizes every image of a dataset.</summary>
    public static ImageDataset Resize(ImageDataset dataset, int side, CancellationToken cancellationToken)
    {
        var pixels = Allocate(dataset.Count, side);
        var imageBytes = side * side * 3;
        Parallel.For(0, dataset.Count, new ParallelOptions { CancellationToken = cancellationToken }, i =>
        {
            using var bitmap = FromRgb(dataset.Image(i), dataset.Side);
            CropAndResize(bitmap, side, pixels.AsSpan(i * imageBytes, imageBytes));
        });
        return new ImageDataset { Name = dataset.Name, Side = side, ClassNames = dataset.ClassNames, Pixels = pixels, Labels = dataset.Labels };
    }

    private static SKBitmap FromRgb(ReadOnlySpan<byte> rgb, int side)
    {
        var bitmap = new SKBitmap(new SKImageInfo(side, side, SKColorType.Rgba8888, SKAlphaType.Unpremul));
        var rgba = PixelsOf(bitmap);
        for (var (from, to) = (0, 0); from < rgb.Length; from += 3, to += 4)
        {
            rgb.Slice(from, 3).CopyTo(rgba[to..]);
            rgba[to + 3] = byte.MaxValue;
        }

        return bitmap;
    }

    private static void CropAndResize(SKBitmap image, int side, Span<byte> destination)
    {
        var square = Math.Min(image.Width, image.Height);
        var (left, top) = ((image.Width - square) / 2, (image.Height - square) / 2);
        var current = new SKBitmap();
        try
        {
            image.ExtractSubset(current, new SKRectI(left, top, left + square, top + square));
            // A cubic filter alone would skip pixels when it shrinks by more than two: average in halves first.
            while (current.Width >= 2 * side)
            {
                current = Scaled(current, current.Width / 2, new SKSamplingOptions(SKFilterMode.Linear));
            }

            if (current.Width != side)
            {
                current = Scaled(current, side, new SKSamplingOptions(SKCubicResampler.CatmullRom));
            }

            CopyRgb(current, destination);
        }
        finally
        {
            current.Dispose();
        }
    }

    /// <summary>A scaled copy; disposes its source.</summary>
    private static SKBitmap Scaled(SKBitmap source, int side, SKSamplingOptions sampling)
    {
        using (source)
        {
            return source.Resize(new SKImageInfo(side, side, source.ColorType, source.AlphaType), sampling)
                ?? throw new NextPatchException($"An image of {source.Width}x{source.Height} could not be resized to {side}x{side}; memory is probably short.");
        }
    }

    /// <summary>Copies a bitmap's rows (which may be apart, as in a subset) without alpha.</summary>
    private static void CopyRgb(SKBitmap bitmap, Span<byte> destination)
    {
        using var pixmap = bitmap.PeekPixels();
        var to = 0;
        for (var y = 0; y < bitmap.Height; y++)
        {
            var row = MemoryMarshal.AsBytes(pixmap.GetPixelSpan<uint>(0, y))[..(bitmap.Width * 4)];
            for (var from = 0; from < row.Length; from += 4, to += 3)
            {
                row.Slice(from, 3).CopyTo(destination[to..]);
            }
        }
    }

    private static void MakeOpaque(SKBitmap bitmap)
    {
        var rgba = PixelsOf(bitmap);
        for (var i = 3; i < rgba.Length; i += 4)
        {
            rgba[i] = byte.MaxValue;
        }
    }

    private static Span<byte> PixelsOf(SKBitmap bitmap)
    {
        using var pixmap = bitmap.PeekPixels();
        return MemoryMarshal.AsBytes(pixmap.GetPixelSpan<uint>());
    }
}
