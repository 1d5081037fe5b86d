using NextPatch.Core.Imaging;

namespace NextPatch.Data.Sources;

// Shape letters used in this file: A views of an image, S pixels per side.

/// <summary>The squares that are made of an image before it is encoded, as the published extraction makes them.</summary>
/// <remarks>Source: <c>autoregressive/train/extract_codes_c2i.py</c> of LlamaGen, which stores the image and its mirror image, or ten
/// crops.</remarks>
internal sealed record ImageViews
{
    /// <summary>The published enlargement of the centre crop from which ten crops are cut.</summary>
    public const double PublishedRange = 1.1;

    private readonly Kind _kind;
    private readonly double _range;

    private ImageViews(Kind kind, int side, double range = 1)
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(side, 1);
        (_kind, Side, _range) = (kind, side, range);
    }

    private enum Kind
    {
        Centre,
        Flip,
        Ten,
    }

    /// <summary>S.</summary>
    public int Side { get; }

    /// <summary>A.</summary>
    public int Count => _kind switch { Kind.Centre => 1, Kind.Flip => 2, _ => 10 };

    /// <summary>What a manifest calls them.</summary>
    public string Policy
        => _kind switch { Kind.Centre => "none", Kind.Flip => "flip", _ => _range == PublishedRange ? "ten-crop" : $"ten-crop {_range}" };

    /// <summary>The centre crop.</summary>
    public static ImageViews Centre(int side) => new(Kind.Centre, side);

    /// <summary>The centre crop and its mirror image.</summary>
    public static ImageViews Flip(int side) => new(Kind.Flip, side);

    /// <summary>Ten crops of a centre crop of <paramref name="range"/> times the side.</summary>
    public static ImageViews Ten(int side, double range = PublishedRange)
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(range, 1);
        return new ImageViews(Kind.Ten, side, range);
    }

    /// <param name="image">Any size.</param>
    /// <param name="destination">uint8 [A, S, S, 3].</param>
    public void Write(RgbImage image, Span<byte> destination)
    {
        if (_kind == Kind.Ten)
        {
            ImageCrops.Ten(ImageCrops.Centre(image, ImageCrops.TenCropSide(Side, _range)), Side, destination);
            return;
        }

        var centre = ImageCrops.Centre(image, Side);
        centre.Pixels.CopyTo(destination);
        if (_kind == Kind.Flip)
        {
            ImageCrops.Mirror(centre).Pixels.CopyTo(destination[centre.Pixels.Length..]);
        }
    }
}
