using System.Buffers;
using NextPatch.Torch.Devices;
using static TorchSharp.torch;

namespace NextPatch.Torch.Tokenizer;

// Shape letters used in this file: N images in storage, B images in this call, S pixels per side.

/// <summary>8-bit interleaved images to float planes in [-1, 1], and back.</summary>
internal static class ImageTensors
{
    /// <summary>All images of a byte block as a tensor.</summary>
    /// <param name="pixels">uint8 [N, S, S, 3].</param>
    /// <param name="side">S.</param>
    /// <param name="device">Where they go, as bytes; null: the processor.</param>
    /// <returns>float [N, 3, S, S] in [-1, 1]: v / 127.5 - 1.</returns>
    /// <exception cref="ArgumentException">The byte count is not a whole number of images.</exception>
    public static Tensor FromPixels(ReadOnlySpan<byte> pixels, int side, Device? device = null)
    {
        var count = CountImages(pixels.Length, side);
        using var scope = NewDisposeScope();
        var interleaved = tensor(pixels.ToArray(), [count, side, side, 3], dtype: ScalarType.Byte); // [N, S, S, 3]
        return ToUnitRange(device is null ? interleaved : TorchDevices.Upload(interleaved, device)).MoveToOuterDisposeScope();
    }

    /// <summary>Chosen images of a byte block as a tensor.</summary>
    /// <param name="pixels">uint8 [N, S, S, 3].</param>
    /// <param name="side">S.</param>
    /// <param name="indices">Which images, B of them, in this order.</param>
    /// <returns>float [B, 3, S, S] in [-1, 1].</returns>
    public static Tensor Gather(ReadOnlySpan<byte> pixels, int side, ReadOnlySpan<int> indices)
    {
        var size = side * side * 3;
        var chosen = ArrayPool<byte>.Shared.Rent(indices.Length * size);
        try
        {
            for (var i = 0; i < indices.Length; i++)
            {
                pixels.Slice(indices[i] * size, size).CopyTo(chosen.AsSpan(i * size));
            }

            return FromPixels(chosen.AsSpan(0, indices.Length * size), side);
        }
        finally
        {
            ArrayPool<byte>.Shared.Return(chosen);
        }
    }

    /// <summary>The published rule: truncation of 127.5 x + 128, clamped to 0..255.</summary>
    /// <param name="images">float [B, 3, S, S], nominally in [-1, 1].</param>
    /// <returns>uint8 [B, S, S, 3].</returns>
    public static byte[] ToPixels(Tensor images)
    {
        using var scope = NewDisposeScope();
        using var noGradient = no_grad();
        var bytes = (images * 127.5 + 128).clamp(0, 255).to(ScalarType.Byte); // the cast truncates
        return bytes.permute(0, 2, 3, 1).cpu().contiguous().data<byte>().ToArray();   // [B, S, S, 3]
    }

    /// <summary>Number of images in a block of bytes.</summary>
    /// <exception cref="ArgumentException">The byte count is not a whole number of images.</exception>
    public static int CountImages(int byteCount, int side)
    {
        var size = side * side * 3;
        return byteCount % size == 0
            ? byteCount / size
            : throw new ArgumentException(
                $"{byteCount} bytes are not a whole number of {side}x{side} RGB images ({size} bytes each).", nameof(byteCount));
    }

    private static Tensor ToUnitRange(Tensor interleaved)
        => (interleaved.permute(0, 3, 1, 2).to(ScalarType.Float32) / 127.5 - 1).contiguous(); // [N, 3, S, S]
}
