using System.Globalization;
using NextPatch.Core.Imaging;

namespace NextPatch.Data.Sources;

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
