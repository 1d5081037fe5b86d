using NextPatch.Core;
using NextPatch.Core.Configuration;
using static TorchSharp.torch;

namespace NextPatch.Torch.Tokenizer;

// Shape letters used in this file: N images, S pixels per side, T codes per image.

/// <summary>Images in bytes through a tokenizer, some at a time: never all of them as floats.</summary>
internal static class TokenizerPixels
{
    /// <summary>Images in bytes to codes.</summary>
    /// <param name="tokenizer">Its codebook and its side S.</param>
    /// <param name="pixels">uint8 [N, S, S, 3].</param>
    /// <param name="cancellation">Checked between batches.</param>
    /// <returns>[N, T].</returns>
    public static int[] EncodePixels(this VqTokenizer tokenizer, ReadOnlySpan<byte> pixels, CancellationToken cancellation = default)
    {
        var codes = new int[ImageTensors.CountImages(pixels.Length, tokenizer.Config.ImageSide) * tokenizer.Config.CodesPerImage];
        tokenizer.EncodePixels(pixels, codes, cancellation);
        return codes;
    }

    /// <summary>The same into an array of the caller's: the one path by which images become codes that are stored, judged or decoded.</summary>
    /// <param name="tokenizer">Its codebook and its side S.</param>
    /// <param name="pixels">uint8 [N, S, S, 3].</param>
    /// <param name="codes">[N, T].</param>
    /// <param name="cancellation">Checked between batches.</param>
    public static void EncodePixels(this VqTokenizer tokenizer, ReadOnlySpan<byte> pixels, Span<int> codes, CancellationToken cancellation = default)
    {
        var config = tokenizer.Config;
        var (size, length) = (config.ImageSide * config.ImageSide * 3, config.CodesPerImage);
        var images = ImageTensors.CountImages(pixels.Length, config.ImageSide);
        using var inference = inference_mode();
        for (var first = 0; first < images; first += tokenizer.EncodingBatch)
        {
            cancellation.ThrowIfCancellationRequested();
            using var scope = NewDisposeScope();
            var count = Math.Min(tokenizer.EncodingBatch, images - first);
            var batch = tokenizer.Encode(ImageTensors.FromPixels(
                pixels.Slice(first * size, count * size), config.ImageSide, tokenizer.Device));                            // [count, T]
            batch.to(ScalarType.Int32).cpu().data<int>().ToArray().CopyTo(codes[(first * length)..]);
        }
    }

    /// <summary>Codes to images in bytes.</summary>
    /// <param name="tokenizer">Its codebook and its side S.</param>
    /// <param name="codes">[N, T], each in [0, K).</param>
    /// <param name="cancellation">Checked between batches.</param>
    /// <returns>uint8 [N, S, S, 3].</returns>
    /// <exception cref="NextPatchException">A code is outside the codebook, or the count is not a whole number of images.</exception>
    public static byte[] DecodePixels(this VqTokenizer tokenizer, ReadOnlyMemory<int> codes, CancellationToken cancellation = default)
    {
        var size = tokenizer.Config.ImageSide * tokenizer.Config.ImageSide * 3;
        var pixels = new byte[codes.Length / tokenizer.Config.CodesPerImage * size];
        Decode(tokenizer, codes, (images, first) => ImageTensors.ToPixels(images).CopyTo(pixels, first * size), cancellation);
        return pixels;
    }

    /// <summary>Codes to images before they become bytes.</summary>
    /// <param name="tokenizer">Its codebook and its side S.</param>
    /// <param name="codes">[N, T], each in [0, K).</param>
    /// <param name="cancellation">Checked between batches.</param>
    /// <returns>float [N, 3, S, S], not clamped.</returns>
    /// <exception cref="NextPatchException">As <see cref="DecodePixels"/>.</exception>
    public static float[] DecodePlanes(this VqTokenizer tokenizer, ReadOnlyMemory<int> codes, CancellationToken cancellation = default)
    {
        var size = tokenizer.Config.ImageSide * tokenizer.Config.ImageSide * 3;
        var planes = new float[codes.Length / tokenizer.Config.CodesPerImage * size];
        Decode(tokenizer, codes, (images, first) => images.cpu().contiguous().data<float>().CopyTo(planes, first * size), cancellation);
        return planes;
    }

    /// <param name="tokenizer">Decodes.</param>
    /// <param name="codes">[N, T].</param>
    /// <param name="use">Given a batch, float [B, 3, S, S], and the index of its first image.</param>
    /// <param name="cancellation">Checked between batches.</param>
    private static void Decode(VqTokenizer tokenizer, ReadOnlyMemory<int> codes, Action<Tensor, int> use, CancellationToken cancellation)
    {
        RequireCodes(tokenizer.Config, codes.Span);
        var length = tokenizer.Config.CodesPerImage;
        for (var first = 0; first * length < codes.Length; first += tokenizer.DecodingBatch)
        {
            cancellation.ThrowIfCancellationRequested();
            using var scope = NewDisposeScope();
            var count = Math.Min(tokenizer.DecodingBatch, (codes.Length / length) - first);
            var batch = tensor(
                codes.Span.Slice(first * length, count * length).ToArray(), [count, length], dtype: ScalarType.Int64, device: tokenizer.Device);
            use(tokenizer.Decode(batch), first);
        }
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
