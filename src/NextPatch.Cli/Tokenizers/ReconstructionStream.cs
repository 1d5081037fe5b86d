using NextPatch.Cli.Rendering;
using NextPatch.Core.Configuration;
using NextPatch.Core.Imaging;
using NextPatch.Data.Sources;
using NextPatch.Torch.Tokenizer;

namespace NextPatch.Cli.Tokenizers;

/// <summary>Takes the images of a source through a tokenizer, some at a time, while the next are decoded and cropped on other threads.</summary>
internal sealed class ReconstructionStream
{
    private readonly VqTokenizer _tokenizer;
    private readonly ImageSource _source;
    private readonly ImageStream _stream;
    private readonly int _batch;

    /// <param name="tokenizer">Its side in pixels is that of the centre crops.</param>
    /// <param name="source">Images; stays open.</param>
    /// <param name="onBad">What happens to images that cannot be read.</param>
    public ReconstructionStream(VqTokenizer tokenizer, ImageSource source, OnBadImage onBad)
    {
        (_tokenizer, _source) = (tokenizer, source);
        _batch = BatchOf(tokenizer);
        _stream = new ImageStream(source, onBad, lookAhead: 2 * _batch);
    }

    /// <summary>Images to take at a time: a small tokenizer computes in batches of 64 whatever it is given; a large one goes image by image, and people watch.</summary>
    public static int BatchOf(VqTokenizer tokenizer) => tokenizer.Config.Architecture == TokenizerArchitecture.Small ? 64 : 8;

    /// <summary>Images left out so far because they could not be read.</summary>
    public int SkippedCount => _stream.SkippedCount;

    /// <summary>The first of them.</summary>
    public IReadOnlyList<BadImage> Skipped => _stream.Skipped;

    /// <summary>Every image that can be read, in the source's order.</summary>
    public IEnumerable<ReconstructedBatch> Read(ProgressReporter progress, CancellationToken cancellation)
    {
        var waiting = new List<StreamedImage<RgbImage>>(_batch);
        progress.Report("Reconstructing", 0, _source.Count);
        foreach (var image in _stream.Read((image, _) => ImageCrops.Centre(image, _tokenizer.Config.ImageSide), cancellationToken: cancellation))
        {
            waiting.Add(image);
            if (waiting.Count == _batch)
            {
                yield return Reconstruct([.. waiting], cancellation);
                waiting.Clear();
                progress.Report("Reconstructing", image.Index + 1, _source.Count);
            }
        }

        if (waiting.Count > 0)
        {
            yield return Reconstruct(waiting, cancellation);
        }

        progress.Report("Reconstructing", _source.Count, _source.Count);
    }

    private ReconstructedBatch Reconstruct(IReadOnlyList<StreamedImage<RgbImage>> images, CancellationToken cancellation)
    {
        var size = images[0].Value.Pixels.Length;
        var pixels = new byte[images.Count * size];
        for (var i = 0; i < images.Count; i++)
        {
            images[i].Value.Pixels.CopyTo(pixels, i * size);
        }

        var codes = _tokenizer.EncodePixels(pixels, cancellation);
        return new ReconstructedBatch(images, pixels, codes, _tokenizer.DecodePixels(codes, cancellation));
    }
}
