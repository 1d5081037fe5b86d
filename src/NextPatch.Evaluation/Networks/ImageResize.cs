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

/// <summary>How images are brought to a network's input size. Distances measured under different protocols must not be compared.</summary>
public enum ResizeProtocol
{
    /// <summary>
    /// TensorFlow 1's bilinear, as the ADM evaluator runs it inside its graph: no half-pixel shift, no antialiasing, nothing rounded.
    /// </summary>
    Adm,

    /// <summary>clean-fid: Pillow's bicubic with antialiasing on every channel as float32, clipped to 0..255, not rounded.</summary>
    Clean,

    /// <summary>
    /// pytorch-fid: PyTorch's bilinear (half-pixel centres, no antialiasing); the FID Inception network then takes 2x / 255 - 1 instead of (x - 128)
    /// / 128.
    /// </summary>
    Legacy,
}
