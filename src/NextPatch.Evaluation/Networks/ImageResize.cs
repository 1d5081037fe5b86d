namespace NextPatch.Evaluation.Networks;

// Shape letters used in this file: N images, H and W rows and columns of them, S side of the result.

/// <summary>Resizes 8-bit images to squares of floats by a <see cref="ResizeProtocol"/>; an image of that size already keeps its values.</summary>
internal static class ImageResize
{
    /// <summary>Resizes N images.</summary>
    /// <param name="pixels">RGB uint8 [N, H, W, 3].</param>
    /// <param name="height">H.</param>
    /// <param name="width">W.</param>
    /// <param name="side">S.</param>
    /// <param name="protocol">How.</param>
    /// <returns>float [N, S, S, 3] in 0..255.</returns>
    public static float[] ToSquares(ReadOnlyMemory<byte> pixels, int height, int width, int side, ResizeProtocol protocol)
    {
        var (size, square) = (height * width * 3, side * side * 3);
        var result = new float[pixels.Length / size * square];
        Action<ReadOnlySpan<byte>, Span<float>> resize = protocol == ResizeProtocol.Clean
            ? new AntialiasedBicubic(height, width, side).Resize
            : new BilinearResize(height, width, side, halfPixel: protocol == ResizeProtocol.Legacy).Resize;
        Parallel.For(0, pixels.Length / size, i => resize(pixels.Span.Slice(i * size, size), result.AsSpan(i * square, square)));
        return result;
    }
}
