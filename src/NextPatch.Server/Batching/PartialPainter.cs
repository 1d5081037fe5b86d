using System.Diagnostics;
using NextPatch.Core.Generation;
using NextPatch.Core.Imaging;
using NextPatch.Sampling;

namespace NextPatch.Server.Batching;

/// <summary>
/// Images of which some rows are drawn: those, and their mean colour below. Decoding one costs as much as a whole image, so pictures of every row
/// share the time with the drawing; those of the contract are always made.
/// </summary>
internal sealed class PartialPainter
{
    /// <summary>Seconds that pictures of every row may take beyond as many as the drawing takes.</summary>
    private const double MostCredit = 0.5;

    private readonly IImageTokenizer _tokenizer;
    private double _credit = MostCredit;

    /// <param name="tokenizer">Decodes.</param>
    public PartialPainter(IImageTokenizer tokenizer) => _tokenizer = tokenizer;

    /// <summary>Seconds were spent on drawing.</summary>
    public void Drew(double seconds) => _credit = Math.Min(_credit + seconds, MostCredit);

    /// <summary>Shows an image after a row, if its request wants that now.</summary>
    public void Show(DrawJob job, IImageInProgress image, int place)
    {
        var rows = image.Position / _tokenizer.Config.GridSide;
        if (!image.IsFinished && image.Position % _tokenizer.Config.GridSide == 0 && job.WantsPartial(rows, _credit > 0))
        {
            var began = Stopwatch.GetTimestamp();
            job.ShowPartial(place, rows, Decode(image.Codes.Span));
            _credit -= Stopwatch.GetElapsedTime(began).TotalSeconds;
        }
    }

    /// <param name="codes">Of whole rows, at least one.</param>
    public RgbImage Decode(ReadOnlySpan<int> codes)
    {
        var config = _tokenizer.Config;
        var image = PartialDecoder.Decode(_tokenizer, codes, CancellationToken.None);
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
