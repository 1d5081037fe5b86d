using NextPatch.Core.Generation;
using NextPatch.Core.Imaging;

namespace NextPatch.Sampling;

/// <summary>Codes of the first rows of a grid to an image.</summary>
internal static class PartialDecoder
{
    private const byte Grey = 128;

    /// <param name="tokenizer">Decodes.</param>
    /// <param name="codes">Of whole rows. Where rows are missing, the last one stands for them, so that the edge is no contrast.</param>
    /// <param name="cancellation">Reaches the decoder.</param>
    /// <returns>Grey below the rows that there are.</returns>
    public static RgbImage Decode(IImageTokenizer tokenizer, ReadOnlySpan<int> codes, CancellationToken cancellation)
    {
        var config = tokenizer.Config;
        var all = new int[config.CodesPerImage];
        codes.CopyTo(all);
        for (var i = codes.Length; i < all.Length; i++)
        {
            all[i] = all[i - config.GridSide];
        }

        var pixels = tokenizer.Decode(all, cancellation);
        pixels.AsSpan(codes.Length / config.GridSide * config.DownsamplingFactor * config.ImageSide * 3).Fill(Grey);
        return new RgbImage(config.ImageSide, config.ImageSide, pixels);
    }
}
