using NextPatch.Core.Imaging;
using NextPatch.Data.Sources;

namespace NextPatch.Data.Datasets;

/// <summary>Some images of another source, evenly spread over it. The other source stays its owner's to close.</summary>
internal sealed class SpreadImages : ImageSource
{
    private readonly ImageSource _source;
    private readonly int _count;

    private SpreadImages(ImageSource source, int count) => (_source, _count) = (source, count);

    public override int Count => _count;

    public override int? Side => _source.Side;

    /// <summary>So many images, evenly spread over the source, because sources are sorted by class.</summary>
    /// <param name="source">All images.</param>
    /// <param name="count">At least 1; a count beyond the source's means all.</param>
    public static SpreadImages Create(ImageSource source, int count)
    {
        ArgumentOutOfRangeException.ThrowIfNegativeOrZero(count);
        return new SpreadImages(source, Math.Min(count, source.Count))
        {
            Name = source.Name, Layout = source.Layout, ClassNames = source.ClassNames, LeftOut = source.LeftOut,
        };
    }

    public override int Label(int i) => _source.Label(Place(i));

    public override string PathOf(int i) => _source.PathOf(Place(i));

    public override RgbImage Decode(int i) => _source.Decode(Place(i));

    private int Place(int i) => (int)((long)i * _source.Count / _count);
}
