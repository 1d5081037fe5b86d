using NextPatch.Core.Generation;
using NextPatch.Core.Imaging;

namespace NextPatch.Sampling;

/// <summary>Codes of the first rows of a grid to an image.</summary>
internal static class PartialDecoder
{
    /// <param name="tokenizer">Decodes.</param>
    /// <param name="codes">Of whole rows, at least one.</param>
    /// <param name="cancellation">Reaches the decoder.</param>
    /// <returns>The rows that there are, and their mean colour below.</returns>
    public static RgbImage Decode(IImageTokenizer tokenizer, ReadOnlyMemory<int> codes, CancellationToken cancellation)
    {
        var config = tokenizer.Config;
        var drawn = tokenizer.DecodeRows(codes, cancellation);
        var sums = new long[3];
        for (var i = 0; i < drawn.Length; i++)
        {
            sums[i % 3] += drawn[i];
        }

        var pixels = new byte[config.ImageSide * config.ImageSide * 3];
        drawn.CopyTo(pixels, 0);
        for (var i = drawn.Length; i < pixels.Length; i++)
        {
            pixels[i] = (byte)(sums[i % 3] / (drawn.Length / 3));
        }

        return new RgbImage(config.ImageSide, config.ImageSide, pixels);
    }
}
