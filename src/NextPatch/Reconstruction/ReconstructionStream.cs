using NextPatch.Core.Configuration;
using NextPatch.Core.Generation;
using NextPatch.Core.Imaging;
using NextPatch.Data.Sources;

namespace NextPatch.Reconstruction;

/// <summary>Takes the images of a source through a tokenizer, some at a time, while the next are decoded and cropped on other threads.</summary>
internal sealed class ReconstructionStream
{
    private readonly IImageTokenizer _tokenizer;
    private readonly ImageSource _source;
    private readonly ImageStream _stream;
    private readonly int _batch;

    /// <param name="tokenizer">Its side in pixels is that of the centre crops.</param>
    /// <param name="source">Images; stays open.</param>
    /// <param name="onBad">What happens to images that cannot be read.</param>
    public ReconstructionStream(IImageTokenizer tokenizer, ImageSource source, OnBadImage onBad)
    {
        (_tokenizer, _source) = (tokenizer, source);
        _batch = BatchOf(tokenizer);
        _stream = new ImageStream(source, onBad, lookAhead: 2 * _batch);
    }

    /// <summary>
    /// Images to take at a time: a small tokenizer computes in batches of 64 whatever it is given; a large one computes image by image, so that
    /// small batches show progress sooner at the same cost.
    /// </summary>
    public static int BatchOf(IImageTokenizer tokenizer) => tokenizer.Config.Architecture == TokenizerArchitecture.Small ? 64 : 8;

    /// <summary>Images left out so far because they could not be read.</summary>
    public int SkippedCount => _stream.SkippedCount;

    /// <summary>The first of them.</summary>
    public IReadOnlyList<BadImage> Skipped => _stream.Skipped;

    /// <summary>Every image that can be read, in the source's order.</summary>
    /// <param name="progress">Told how many images of the source are behind it.</param>
    /// <param name="cancellation">Checked within batches.</param>
    public IEnumerable<ReconstructedBatch> Read(IProgress<int>? progress = null, CancellationToken cancellation = default)
    {
        var waiting = new List<StreamedImage<RgbImage>>(_batch);
        foreach (var image in _stream.Read((image, _) => ImageCrops.Centre(image, _tokenizer.Config.ImageSide), cancellationToken: cancellation))
        {
            waiting.Add(image);
            if (waiting.Count == _batch)
            {
                yield return Reconstruct([.. waiting], cancellation);
                waiting.Clear();
                progress?.Report(image.Index + 1);
            }
        }

        if (waiting.Count > 0)
        {
            yield return Reconstruct(waiting, cancellation);
        }

        progress?.Report(_source.Count);
    }

    private ReconstructedBatch Reconstruct(IReadOnlyList<StreamedImage<RgbImage>> images, CancellationToken cancellation)
    {
        var size = images[0].Value.Pixels.Length;
        var pixels = new byte[images.Count * size];
        for (var i = 0; i < images.Count; i++)
        {
            images[i].Value.Pixels.CopyTo(pixels, i * size);
        }

        var codes = new int[images.Count * _tokenizer.Config.CodesPerImage];
        _tokenizer.Encode(pixels, codes, cancellation);
        return new ReconstructedBatch(images, pixels, codes, _tokenizer.Decode(codes, cancellation));
    }
}

/// <summary>Some images, and what a tokenizer makes of them.</summary>
/// <param name="Images">Where they come from, and their square crops.</param>
/// <param name="Originals">The crops, uint8 [n, S, S, 3].</param>
/// <param name="Codes">[n, T].</param>
/// <param name="Reconstructions">uint8 [n, S, S, 3].</param>
internal sealed record ReconstructedBatch(IReadOnlyList<StreamedImage<RgbImage>> Images, byte[] Originals, int[] Codes, byte[] Reconstructions)
{
    /// <summary>Bytes of image <paramref name="i"/> of an array of this batch.</summary>
    public ReadOnlySpan<byte> Of(byte[] pixels, int i)
    {
        var size = pixels.Length / Images.Count;
        return pixels.AsSpan(i * size, size);
    }
}
