using System.Globalization;
using NextPatch.Core.Imaging;

namespace NextPatch.Data.Sources;

/// <summary>Square RGB images of one size with integer labels, in memory.</summary>
public sealed class ImageDataset
{
    /// <summary>What the data is called in reports: "shapes", a folder name.</summary>
    public required string Name { get; init; }

    /// <summary>Width and height of every image in pixels.</summary>
    public required int Side { get; init; }

    /// <summary>Names of the classes; label k is entry k.</summary>
    public required IReadOnlyList<string> ClassNames { get; init; }

    /// <summary>uint8 [Count, Side, Side, 3].</summary>
    public required byte[] Pixels { get; init; }

    /// <summary>[Count], each in [0, ClassNames.Count).</summary>
    public required int[] Labels { get; init; }

    /// <summary>Number of images.</summary>
    public int Count => Labels.Length;

    private int ImageBytes => Side * Side * 3;

    /// <summary>uint8 [Side, Side, 3]; a view, not a copy.</summary>
    public ReadOnlySpan<byte> Image(int i)
    {
        ArgumentOutOfRangeException.ThrowIfNegative(i);
        ArgumentOutOfRangeException.ThrowIfGreaterThanOrEqual(i, Count);
        return Pixels.AsSpan(checked(i * ImageBytes), ImageBytes);
    }

    /// <summary>A copy of one image.</summary>
    public RgbImage ToImage(int i) => new(Side, Side, Image(i).ToArray());
}

/// <summary>Images to learn from, and images of the same classes and size that training never sees.</summary>
public sealed record DatasetSplit(ImageDataset Train, ImageDataset HeldOut);

/// <summary>A dataset in memory as a source: formats that are small and can only be read from one end to the other.</summary>
internal sealed class InMemoryImages(ImageDataset dataset) : ImageSource
{
    /// <summary>The images themselves.</summary>
    public ImageDataset Dataset => dataset;

    public override int Count => dataset.Count;

    public override int? Side => dataset.Side;

    public static InMemoryImages From(ImageDataset dataset, string layout)
        => new(dataset) { Name = dataset.Name, Layout = layout, ClassNames = dataset.ClassNames };

    public override int Label(int i) => dataset.Labels[i];

    public override string PathOf(int i) => string.Create(CultureInfo.InvariantCulture, $"{Name}[{i}]");

    public override RgbImage Decode(int i) => dataset.ToImage(i);
}
