using System.Buffers;
using NextPatch.Data.Sources;

namespace NextPatch.Extraction;

// Shape letters used in this file: n images, A views of an image, S pixels per side.

/// <summary>Prepared images on their way to the encoder.</summary>
internal sealed class EncodeBatch : IDisposable
{
    private readonly int _imageBytes;
    private readonly byte[] _pixels;
    private readonly List<int> _labels = [];
    private readonly List<int> _captions = [];

    /// <param name="images">Room for so many.</param>
    /// <param name="imageBytes">Bytes of an image's views together.</param>
    public EncodeBatch(int images, int imageBytes)
    {
        (Capacity, _imageBytes) = (images, imageBytes);
        _pixels = ArrayPool<byte>.Shared.Rent(images * imageBytes);
    }

    public int Capacity { get; }

    public int Count => _labels.Count;

    /// <summary>uint8 [n, A, S, S, 3].</summary>
    public ReadOnlySpan<byte> Pixels => _pixels.AsSpan(0, Count * _imageBytes);

    /// <summary>[n].</summary>
    public int[] Labels => [.. _labels];

    /// <summary>Lines of their captions, [n]; empty where images have none.</summary>
    public int[] Captions => [.. _captions];

    /// <summary>How many of the images, the last ones, are held out.</summary>
    public int HeldOutCount { get; private set; }

    /// <summary>Place in the source behind the last image, bad ones included.</summary>
    public int Next { get; set; }

    /// <summary>Images left out since the batch before.</summary>
    public int SkippedCount { get; set; }

    /// <summary>Those of them that are listed by name.</summary>
    public IReadOnlyList<BadImage> Skipped { get; set; } = [];

    public void Add(ReadOnlySpan<byte> views, int label, int? caption, bool isHeldOut)
    {
        if (caption is { } line)
        {
            _captions.Add(line);
        }

        views.CopyTo(_pixels.AsSpan(Count * _imageBytes));
        _labels.Add(label);
        HeldOutCount += isHeldOut ? 1 : 0;
    }

    public void Dispose() => ArrayPool<byte>.Shared.Return(_pixels);
}
