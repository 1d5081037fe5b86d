using NextPatch.Core;
using NextPatch.Core.Imaging;
using NextPatch.Core.Sampling;
using NextPatch.Data.Datasets;
using NextPatch.Data.Sources;

namespace NextPatch.Training.Tokenizer;

// Shape letters used in this file: B batch, S pixels per side, N judged images.

/// <summary>
/// The images a tokenizer learns from and those it is judged by. Which image stands at a place of the training stream, how it is cut
/// and whether it is mirrored is a pure function of (seed, place).
/// </summary>
/// <remarks>The published random crop enlarges small images; here none is enlarged more than it must be to be cut at all.</remarks>
public sealed class TokenizerImages : IDisposable
{
    private readonly DatasetParts _parts;
    private readonly int[] _training;
    private readonly int[] _judged;
    private readonly PreparedImages _prepared;
    private readonly int _side;
    private readonly ulong _seed;
    private readonly bool _crops;
    private readonly bool _flips;
    private readonly OnBadImage _onBad;
    private readonly CounterRandom _random;

    private TokenizerImages(DatasetParts parts, int[] training, int[] heldOut, TokenizerImageOptions options)
    {
        (_parts, _training) = (parts, training);
        (_side, _seed, _crops, _flips, _onBad) = (options.Side, options.Seed, options.HasRandomCrops, options.HasFlips, options.OnBadImage);
        var judged = Math.Min(options.MostJudged, heldOut.Length);

        // Spread over the classes, which lie one after the other.
        _judged = [.. Enumerable.Range(0, judged).Select(i => heldOut[(int)((long)i * heldOut.Length / judged)])];
        _prepared = new PreparedImages(parts.Train, _crops ? ImageCrops.RandomSides(_side).Most : _side, _onBad);
        _random = new CounterRandom(_seed, RandomStream.Augmentation);
        Data = new TokenizerRunData(parts.Train.Name, training.Length, heldOut.Length, judged);
    }

    /// <summary>What the run remembers of the images.</summary>
    public TokenizerRunData Data { get; }

    /// <summary>A sentence on what lies beside the images and is not used; null where nothing is left out.</summary>
    public string? LeftOut => LeftOutFiles.Describe(_parts.Train.Name, _parts.Train.LeftOut);

    /// <summary>Images of the training part that could not be read so far, and were replaced by the next ones.</summary>
    public int BadCount => _prepared.BadCount;

    /// <summary>Why, for the first of them.</summary>
    public IReadOnlyList<string> BadReasons => _prepared.BadReasons;

    /// <param name="path">Whatever <see cref="DatasetReader.OpenParts"/> opens. Its test part is held out, else a share of each class chosen by the
    /// seed.</param>
    /// <param name="options">How the images are used.</param>
    /// <param name="cancellation">Stops the listing.</param>
    /// <exception cref="NextPatchException">The path holds no dataset, or a damaged one.</exception>
    public static TokenizerImages Open(string path, TokenizerImageOptions options, CancellationToken cancellation = default)
        => From(DatasetReader.OpenParts(path, cancellation), options);

    /// <summary>The same of parts that are open.</summary>
    /// <param name="parts">Disposed with this object.</param>
    /// <param name="options">How the images are used.</param>
    public static TokenizerImages From(DatasetParts parts, TokenizerImageOptions options)
    {
        var all = Enumerable.Range(0, parts.Train.Count);
        if (parts.Test is { } test)
        {
            return new TokenizerImages(parts, [.. all], [.. Enumerable.Range(0, test.Count)], options);
        }

        var isHeldOut = HeldOutChoice.Choose([.. all.Select(parts.Train.Label)], options.Seed, options.HeldOutShare);
        return new TokenizerImages(parts, [.. all.Where(i => !isHeldOut[i])], [.. all.Where(i => isHeldOut[i])], options);
    }

    /// <summary>Where the image at a place of the training stream lies.</summary>
    public string PathAt(long place) => _parts.Train.PathOf(_training[PositionAt(place)]);

    /// <summary>The images at places [<paramref name="place"/>, + <paramref name="count"/>), cut and mirrored.</summary>
    /// <returns>uint8 [B, S, S, 3].</returns>
    /// <exception cref="NextPatchException">An image cannot be read, or none can.</exception>
    public byte[] Batch(long place, int count)
    {
        var size = _side * _side * 3;
        var pixels = new byte[count * size];
        for (var i = 0; i < count; i++)
        {
            Crop(Readable(PositionAt(place + i)), place + i).Pixels.CopyTo(pixels.AsSpan(i * size));
        }

        return pixels;
    }

    /// <summary>Centre crops of the images that the run is judged by; those that cannot be read are left out where bad images are skipped.</summary>
    /// <returns>uint8 [N, S, S, 3].</returns>
    /// <exception cref="NextPatchException">An image cannot be read.</exception>
    public byte[] ReadJudged(CancellationToken cancellation = default)
    {
        var source = _parts.Test ?? _parts.Train;
        var crops = new RgbImage?[_judged.Length];
        try
        {
            Parallel.For(0, crops.Length, new ParallelOptions { CancellationToken = cancellation }, i =>
            {
                try
                {
                    crops[i] = ImageCrops.Centre(source.Decode(_judged[i]), _side);
                }
                catch (NextPatchException) when (_onBad == OnBadImage.Skip)
                {
                }
            });
        }
        catch (AggregateException e) when (e.InnerException is NextPatchException cause)
        {
            throw cause;
        }

        return [.. crops.Where(c => c is not null).SelectMany(c => c!.Pixels)];
    }

    /// <inheritdoc/>
    public void Dispose() => _parts.Dispose();

    /// <summary>Each epoch is its own permutation of the training images.</summary>
    private int PositionAt(long place) => (int)new SeekablePermutation(_training.Length, _seed, place / _training.Length)[place % _training.Length];

    /// <summary>The training image at a position, or the next one that can be read.</summary>
    private RgbImage Readable(int position)
    {
        for (var i = 0; i < _training.Length; i++)
        {
            if (_prepared.Get(_training[(position + i) % _training.Length]) is { } image)
            {
                return image;
            }
        }

        throw new NextPatchException(
            $"None of the {_training.Length} images of {_parts.Train.Name} can be read. The first: {_prepared.BadReasons[0]}");
    }

    private RgbImage Crop(RgbImage image, long place)
    {
        var (least, most) = ImageCrops.RandomSides(_side);
        most = Math.Clamp(Math.Min(image.Width, image.Height), least, most);
        var cut = _crops && most > least ? RandomCrop(image, least, most, place) : ImageCrops.Centre(image, _side);
        return _flips && _random.Uniform(place, 3) < 0.5 ? ImageCrops.Mirror(cut) : cut;
    }

    private RgbImage RandomCrop(RgbImage image, int least, int most, long place)
        => ImageCrops.Random(image, _side, least + _random.Below(most - least + 1, place, 0), _random, place);
}
