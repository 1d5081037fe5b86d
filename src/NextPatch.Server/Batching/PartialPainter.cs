using System.Diagnostics;
using NextPatch.Core.Generation;
using NextPatch.Sampling;

namespace NextPatch.Server.Batching;

/// <summary>
/// Images of which some rows are drawn: those, and their mean colour below. Decoding one costs its share of a whole image, so pictures of every row
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
            job.ShowPartial(place, rows, PartialDecoder.Decode(_tokenizer, image.Codes, CancellationToken.None));
            _credit -= Stopwatch.GetElapsedTime(began).TotalSeconds;
        }
    }
}
