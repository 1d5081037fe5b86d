using System.Buffers;

namespace NextPatch.Core.Imaging;

/// <summary>Resizes 8-bit images to the bytes that Pillow's <c>Image.resize</c> gives.</summary>
/// <remarks>Source: Pillow, libImaging/Resample.c, without gamma and without a box: 22-bit fixed-point weights, the horizontal pass first,
/// rounded to bytes, then the vertical pass. An axis that keeps its size is not filtered.</remarks>
internal static partial class PillowResize
{
    // Rows that are turned and filtered together: their 3 x 32 bytes are whole vectors, and a strip stays in the cache.
    private const int StripRows = 32;
    private const int StripBytes = StripRows * 3;

    /// <summary>Resizes an image.</summary>
    /// <param name="image">The image; not changed.</param>
    /// <param name="width">Pixels per row of the result.</param>
    /// <param name="height">Rows of the result.</param>
    /// <param name="filter">How pixels are weighed.</param>
    /// <returns>A new image.</returns>
    public static RgbImage Resize(RgbImage image, int width, int height, ResampleFilter filter)
    {
        ArgumentOutOfRangeException.ThrowIfNegativeOrZero(width);
        ArgumentOutOfRangeException.ThrowIfNegativeOrZero(height);
        return ResizeWindow(image, width, height, filter, 0, 0, width, height);
    }

    /// <summary>Resizes and keeps a window of the result, which is all that is computed.</summary>
    /// <param name="image">The image; not changed.</param>
    /// <param name="width">Pixels per row of the whole result.</param>
    /// <param name="height">Rows of the whole result.</param>
    /// <param name="filter">How pixels are weighed.</param>
    /// <param name="left">First column of the window.</param>
    /// <param name="top">First row of the window.</param>
    /// <param name="keptWidth">Columns of the window.</param>
    /// <param name="keptHeight">Rows of the window.</param>
    internal static RgbImage ResizeWindow(
        RgbImage image, int width, int height, ResampleFilter filter, int left, int top, int keptWidth, int keptHeight)
    {
        // The rows that the vertical pass will read: the horizontal pass may leave the others out.
        var vertical = height == image.Height ? null : new ResampleWeights(image.Height, height, filter, top, keptHeight);
        var (firstRow, lastRow) = vertical is null
            ? (top, top + keptHeight - 1)
            : (vertical.First(top), vertical.First(top + keptHeight - 1) + vertical.Of(top + keptHeight - 1).Length - 1);
        var rows = lastRow - firstRow + 1;
        var stride = keptWidth * 3;
        var between = vertical is null ? GC.AllocateUninitializedArray<byte>(rows * stride) : ArrayPool<byte>.Shared.Rent(rows * stride);
        if (width == image.Width)
        {
            for (var y = 0; y < rows; y++)
            {
                image.Pixels.AsSpan((((firstRow + y) * image.Width) + left) * 3, stride).CopyTo(between.AsSpan(y * stride));
            }
        }
        else
        {
            FilterRows(image, new ResampleWeights(image.Width, width, filter, left, keptWidth), firstRow, rows, left, keptWidth, between);
        }

        if (vertical is null)
        {
            return new RgbImage(keptWidth, keptHeight, between);
        }

        var result = new RgbImage(keptWidth, keptHeight, GC.AllocateUninitializedArray<byte>(keptHeight * stride));
        for (var y = 0; y < keptHeight; y++)
        {
            var taken = between.AsSpan((vertical.First(top + y) - firstRow) * stride);
            WeightedRows.Sum(taken, stride, vertical.Of(top + y), result.Pixels.AsSpan(y * stride, stride));
        }

        ArrayPool<byte>.Shared.Return(between);
        return result;
    }

    /// <summary>The horizontal pass: strips of rows are turned on their side, so that the kernel for rows mixes columns.</summary>
    private static void FilterRows(RgbImage image, ResampleWeights weights, int firstRow, int rows, int left, int keptWidth, Span<byte> destination)
    {
        var turned = ArrayPool<byte>.Shared.Rent(image.Width * StripBytes);
        var filtered = ArrayPool<byte>.Shared.Rent(keptWidth * StripBytes);
        for (var y = 0; y < rows; y += StripRows)
        {
            var strip = Math.Min(StripRows, rows - y);
            Turn(image.Pixels.AsSpan((firstRow + y) * image.Width * 3), image.Width * 3, turned, StripBytes, strip, image.Width);
            for (var x = 0; x < keptWidth; x++)
            {
                WeightedRows.Sum(
                    turned.AsSpan(weights.First(left + x) * StripBytes), StripBytes, weights.Of(left + x),
                    filtered.AsSpan(x * StripBytes, StripBytes));
            }

            Turn(filtered, StripBytes, destination[(y * keptWidth * 3)..], keptWidth * 3, keptWidth, strip);
        }

        ArrayPool<byte>.Shared.Return(turned);
        ArrayPool<byte>.Shared.Return(filtered);
    }

    /// <summary>Transposes pixels of three bytes: row y, column x goes to row x, column y.</summary>
    private static void Turn(ReadOnlySpan<byte> source, int sourceStride, Span<byte> destination, int destinationStride, int rows, int columns)
    {
        const int Block = 16;
        for (var left = 0; left < columns; left += Block)
        {
            var right = Math.Min(left + Block, columns);
            for (var y = 0; y < rows; y++)
            {
                var from = source.Slice((y * sourceStride) + (left * 3), (right - left) * 3);
                var to = (left * destinationStride) + (y * 3);
                for (var i = 0; i + 2 < from.Length; i += 3, to += destinationStride)
                {
                    destination[to + 2] = from[i + 2];
                    destination[to + 1] = from[i + 1];
                    destination[to] = from[i];
                }
            }
        }
    }
}

/// <summary>How Pillow weighs source pixels when it resizes.</summary>
internal enum ResampleFilter
{
    /// <summary>The mean of the pixels that an output pixel covers.</summary>
    Box,

    /// <summary>Cubic convolution with a = -0.5, widened by the factor of reduction (antialiased).</summary>
    Bicubic,

    /// <summary>A sinc within a wider sinc, three pixels to each side, widened in the same way.</summary>
    Lanczos,
}
