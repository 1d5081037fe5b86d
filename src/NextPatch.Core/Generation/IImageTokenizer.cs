using NextPatch.Core.Configuration;

namespace NextPatch.Core.Generation;

// Shape letters used in this file: N images, S pixels per side, T codes per image.

/// <summary>
/// Something that turns images into grids of codes and back. One call at a time: implementations need not take several from different threads.
/// </summary>
public interface IImageTokenizer : IDisposable
{
    /// <summary>Sizes: side S in pixels, codes per image T, codebook.</summary>
    TokenizerConfig Config { get; }

    /// <summary>
    /// Images per call of the encoder. More are taken in parts of so many, fewer are padded, so that codes do not depend on the number.
    /// </summary>
    int EncodingBatch { get; }

    /// <summary>Images to codes.</summary>
    /// <param name="pixels">uint8 [N, S, S, 3].</param>
    /// <param name="codes">[N, T], row-major over the grid.</param>
    /// <param name="cancellation">Checked between batches.</param>
    /// <exception cref="ArgumentException">The pixels are not a whole number of images.</exception>
    void Encode(ReadOnlySpan<byte> pixels, Span<int> codes, CancellationToken cancellation = default);

    /// <summary>Codes to images.</summary>
    /// <param name="codes">[N, T], each in [0, K).</param>
    /// <param name="cancellation">Checked between batches.</param>
    /// <returns>uint8 [N, S, S, 3].</returns>
    /// <exception cref="NextPatchException">A code is outside the codebook, or the count is not a whole number of images.</exception>
    byte[] Decode(ReadOnlyMemory<int> codes, CancellationToken cancellation = default);

    /// <summary>Codes to images before they become bytes, which the published resizing and sheets start from.</summary>
    /// <param name="codes">[N, T], each in [0, K).</param>
    /// <param name="cancellation">Checked between batches.</param>
    /// <returns>float [N, 3, S, S], nominally in [-1, 1] but not clamped.</returns>
    /// <exception cref="NextPatchException">As <see cref="Decode"/>.</exception>
    float[] DecodePlanes(ReadOnlyMemory<int> codes, CancellationToken cancellation = default);

    /// <summary>The upper part of one image, of which only the codes of the first rows are known.</summary>
    /// <param name="codes">[rows * g], each in [0, K); g is the side of the grid, and there is at least one row.</param>
    /// <param name="cancellation">Checked on the way.</param>
    /// <returns>
    /// uint8 [rows * S / g, S, 3]. Near what <see cref="Decode"/> makes of the whole image, and not the same: decoders look around, and below the
    /// rows that are known the last one stands for those that are not.
    /// </returns>
    /// <exception cref="NextPatchException">A code is outside the codebook, or the count is not a number of whole rows of one image.</exception>
    byte[] DecodeRows(ReadOnlyMemory<int> codes, CancellationToken cancellation = default)
    {
        var all = new int[Config.CodesPerImage];
        Config.RequireRows(codes.Length);
        codes.Span.CopyTo(all);
        for (var i = codes.Length; i < all.Length; i++)
        {
            all[i] = all[i - Config.GridSide];
        }

        return Decode(all, cancellation)[..(codes.Length * Config.DownsamplingFactor * Config.DownsamplingFactor * 3)];
    }
}
