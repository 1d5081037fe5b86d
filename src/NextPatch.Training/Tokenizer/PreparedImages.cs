using NextPatch.Core;
using NextPatch.Core.Imaging;
using NextPatch.Data.Sources;

namespace NextPatch.Training.Tokenizer;

/// <summary>
/// The decoded images of a source, halved as often as every crop will halve them, kept in memory as far as a budget goes: small
/// images are decoded once. Safe to use from several threads.
/// </summary>
internal sealed class PreparedImages
{
    private const long MemoryBudget = 1L << 30;
    private const int MaxListed = 20;

    private readonly ImageSource _source;
    private readonly int _largestSide;
    private readonly OnBadImage _onBad;
    private readonly RgbImage?[] _kept;
    private readonly Dictionary<int, string> _bad = [];
    private long _keptBytes;

    /// <param name="source">Stays the caller's.</param>
    /// <param name="largestSide">Largest smaller side that a crop resizes to.</param>
    /// <param name="onBad">What happens to images that cannot be read.</param>
    public PreparedImages(ImageSource source, int largestSide, OnBadImage onBad)
        => (_source, _largestSide, _onBad, _kept) = (source, largestSide, onBad, new RgbImage?[source.Count]);

    /// <summary>Images that could not be read so far.</summary>
    public int BadCount
    {
        get
        {
            lock (_bad)
            {
                return _bad.Count;
            }
        }
    }

    /// <summary>Why, for the first of them.</summary>
    public IReadOnlyList<string> BadReasons
    {
        get
        {
            lock (_bad)
            {
                return [.. _bad.OrderBy(b => b.Key).Take(MaxListed).Select(b => b.Value)];
            }
        }
    }

    /// <returns>Null for an image that cannot be read and is to be skipped.</returns>
    /// <exception cref="NextPatchException">It cannot be read and <see cref="OnBadImage.Fail"/> was asked for.</exception>
    public RgbImage? Get(int index)
    {
        if (_kept[index] is { } kept)
        {
            return kept;
        }

        lock (_bad)
        {
            if (_bad.ContainsKey(index))
            {
                return null;
            }
        }

        RgbImage image;
        try
        {
            image = Halve(_source.Decode(index));
        }
        catch (NextPatchException e) when (_onBad == OnBadImage.Skip)
        {
            lock (_bad)
            {
                _bad[index] = e.Message;
            }

            return null;
        }

        if (Interlocked.Add(ref _keptBytes, image.Pixels.Length) <= MemoryBudget)
        {
            _kept[index] = image;
        }

        return image;
    }

    // Each crop begins with this (ImageCrops), and those to a smaller side go on: doing it once changes no byte.
    private RgbImage Halve(RgbImage image)
    {
        while (Math.Min(image.Width, image.Height) >= 2 * _largestSide)
        {
            image = PillowResize.Resize(image, image.Width / 2, image.Height / 2, ResampleFilter.Box);
        }

        return image;
    }
}
