using NextPatch.Core.Generation;
using NextPatch.Core.Imaging;
using NextPatch.Sampling;

namespace NextPatch.Server.Batching;

/// <summary>An image of which some rows are drawn: those, and their mean colour below.</summary>
internal static class PartialPicture
{
    /// <param name="tokenizer">Decodes.</param>
    /// <param name="codes">Of whole rows, at least one.</param>
    public static RgbImage Decode(IImageTokenizer tokenizer, ReadOnlySpan<int> codes)
    {
        var config = tokenizer.Config;
        var image = PartialDecoder.Decode(tokenizer, codes, CancellationToken.None);
        var drawn = codes.Length / config.GridSide * config.DownsamplingFactor * config.ImageSide * 3;
        Span<long> sums = stackalloc long[3];
        for (var i = 0; i < drawn; i++)
        {
            sums[i % 3] += image.Pixels[i];
        }

        for (var i = drawn; i < image.Pixels.Length; i++)
        {
            image.Pixels[i] = (byte)(sums[i % 3] / (drawn / 3));
        }

        return image;
    }
}
