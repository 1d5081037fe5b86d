using NextPatch.Core;
using NextPatch.Core.Configuration;
using static TorchSharp.torch;

namespace NextPatch.Torch.Tokenizer;

// Shape letters used in this file: N images, S pixels per side, T codes per image.

/// <summary>Images in bytes through a tokenizer, some at a time: never all of them as floats.</summary>
public static class TokenizerPixels
{
    /// <summary>Images in bytes to codes.</summary>
    /// <param name="tokenizer">Its codebook and its side S.</param>
    /// <param name="pixels">uint8 [N, S, S, 3].</param>
    /// <param name="cancellation">Checked between batches.</param>
    /// <returns>[N, T].</returns>
    public static int[] EncodePixels(this VqTokenizer tokenizer, ReadOnlyMemory<byte> pixels, CancellationToken cancellation = default)
    {
        var config = tokenizer.Config;
        var (size, length) = (config.ImageSide * config.ImageSide * 3, config.CodesPerImage);
        var codes = new int[ImageTensors.CountImages(pixels.Length, config.ImageSide) * length];
        for (var first = 0; first * size < pixels.Length; first += tokenizer.BatchSize)
        {
            cancellation.ThrowIfCancellationRequested();
            using var scope = NewDisposeScope();
            var count = Math.Min(tokenizer.BatchSize, (pixels.Length / size) - first);
            var batch = tokenizer.Encode(ImageTensors.FromPixels(pixels.Span.Slice(first * size, count * size), config.ImageSide)); // [count, T]
            batch.to(ScalarType.Int32).data<int>().CopyTo(codes, first * length);
        }

        return codes;
    }

    /// <summary>Codes to images in bytes.</summary>
    /// <param name="tokenizer">Its codebook and its side S.</param>
    /// <param name="codes">[N, T], each in [0, K).</param>
    /// <param name="cancellation">Checked between batches.</param>
    /// <returns>uint8 [N, S, S, 3].</returns>
    /// <exception cref="NextPatchException">A code is outside the codebook, or the count is not a whole number of images.</exception>
    public static byte[] DecodePixels(this VqTokenizer tokenizer, ReadOnlyMemory<int> codes, CancellationToken cancellation = default)
    {
        var config = tokenizer.Config;
        var (size, length) = (config.ImageSide * config.ImageSide * 3, config.CodesPerImage);
        RequireCodes(config, codes.Span);
        var pixels = new byte[codes.Length / length * size];
        for (var first = 0; first * length < codes.Length; first += tokenizer.BatchSize)
        {
            cancellation.ThrowIfCancellationRequested();
            using var scope = NewDisposeScope();
            var count = Math.Min(tokenizer.BatchSize, (codes.Length / length) - first);
            var batch = tensor(codes.Span.Slice(first * length, count * length).ToArray(), [count, length], dtype: ScalarType.Int64);
            ImageTensors.ToPixels(tokenizer.Decode(batch)).CopyTo(pixels, first * size);
        }

        return pixels;
    }

    private static void RequireCodes(TokenizerConfig config, ReadOnlySpan<int> codes)
    {
        if (codes.Length % config.CodesPerImage != 0)
        {
            throw new NextPatchException($"{codes.Length} codes are not a whole number of images of {config.CodesPerImage} codes each.");
        }

        foreach (var code in codes)
        {
            if (code < 0 || code >= config.CodebookSize)
            {
                throw new NextPatchException(
                    $"Code {code} is outside the tokenizer's codebook of {config.CodebookSize}; the codes probably belong to another tokenizer.");
            }
        }
    }
}
