using System.Diagnostics;
using NextPatch.Core;
using NextPatch.Core.Imaging;

namespace NextPatch.Data.Sources;

/// <summary>
/// Reads the images of a source one by one, always in the source's order, while the next ones are decoded and prepared on other threads.
/// Holds at most <c>lookAhead</c> images, whatever the source's size.
/// </summary>
internal sealed class ImageStream
{
    // Enough to name what is wrong with a dataset without growing with it.
    /// <summary>So many of the images that are left out are listed by name.</summary>
    internal const int MaxListed = 1000;

    private readonly ImageSource _source;
    private readonly OnBadImage _onBad;
    private readonly int _lookAhead;
    private readonly List<BadImage> _bad = [];
    private long _decodeTicks;
    private long _prepareTicks;

    /// <param name="source">Where the images come from; stays open.</param>
    /// <param name="onBad">What happens to images that cannot be read.</param>
    /// <param name="lookAhead">Images that may be ready or in work at a time: as many as the reader takes in one bite, and some.</param>
    public ImageStream(ImageSource source, OnBadImage onBad = OnBadImage.Fail, int lookAhead = 64)
    {
        ArgumentOutOfRangeException.ThrowIfNegativeOrZero(lookAhead);
        (_source, _onBad, _lookAhead) = (source, onBad, lookAhead);
    }

    /// <summary>Images given out so far.</summary>
    public int ReadCount { get; private set; }

    /// <summary>Images left out so far because they could not be read.</summary>
    public int SkippedCount { get; private set; }

    /// <summary>The first thousand of them.</summary>
    public IReadOnlyList<BadImage> Skipped => _bad;

    /// <summary>Seconds spent on reading and decoding so far, of all threads together.</summary>
    public double DecodeSeconds => Volatile.Read(ref _decodeTicks) / (double)Stopwatch.Frequency;

    /// <summary>Seconds spent on what is done to the images so far, of all threads together.</summary>
    public double PrepareSeconds => Volatile.Read(ref _prepareTicks) / (double)Stopwatch.Frequency;

    /// <summary>Reads the images from <paramref name="first"/> on.</summary>
    /// <param name="prepare">Runs on other threads, for several images at a time: crops and the like. Gets the image and its place in the
    /// source.</param>
    /// <param name="first">Place of the first image.</param>
    /// <param name="cancellationToken">Stops the reading.</param>
    /// <exception cref="NextPatchException">An image cannot be read and <see cref="OnBadImage.Fail"/> was asked for; all before it were given
    /// out.</exception>
    public IEnumerable<StreamedImage<T>> Read<T>(Func<RgbImage, int, T> prepare, int first = 0, CancellationToken cancellationToken = default)
    {
        ArgumentOutOfRangeException.ThrowIfNegative(first);
        using var ahead = new Prefetcher<T>((place, _) => Prepare(prepare, (int)place), _lookAhead - 1, _source.Count, cancellationToken);
        for (var i = first; i < _source.Count; i++)
        {
            if (Take(ahead, i, out var value))
            {
                ReadCount++;
                yield return new StreamedImage<T>(i, _source.PathOf(i), _source.Label(i), value);
            }

            cancellationToken.ThrowIfCancellationRequested();
        }
    }

    private T Prepare<T>(Func<RgbImage, int, T> prepare, int place)
    {
        var started = Stopwatch.GetTimestamp();
        var image = _source.Decode(place);
        var decoded = Stopwatch.GetTimestamp();
        Interlocked.Add(ref _decodeTicks, decoded - started);
        var result = prepare(image, place);
        Interlocked.Add(ref _prepareTicks, Stopwatch.GetTimestamp() - decoded);
        return result;
    }

    private bool Take<T>(Prefetcher<T> ahead, int index, out T value)
    {
        try
        {
            value = ahead.Take(index, 1);
            return true;
        }
        catch (NextPatchException e) when (_onBad == OnBadImage.Skip)
        {
            SkippedCount++;
            if (_bad.Count < MaxListed)
            {
                _bad.Add(new BadImage(index, _source.PathOf(index), e.Message));
            }

            value = default!;
            return false;
        }
    }
}

/// <summary>An image that could not be read.</summary>
/// <param name="Index">Its place in the source.</param>
/// <param name="Path">Where it lies.</param>
/// <param name="Reason">The error's message.</param>
public sealed record BadImage(int Index, string Path, string Reason);

/// <summary>What happens to an image that cannot be read.</summary>
public enum OnBadImage
{
    /// <summary>Its error stops the work.</summary>
    Fail,

    /// <summary>It is left out and counted.</summary>
    Skip,
}

/// <summary>An image as it comes out of an <see cref="ImageStream"/>.</summary>
/// <param name="Index">Its place in the source.</param>
/// <param name="Path">Where it lies.</param>
/// <param name="Label">Its class.</param>
/// <param name="Value">What was made of it.</param>
internal readonly record struct StreamedImage<T>(int Index, string Path, int Label, T Value);
