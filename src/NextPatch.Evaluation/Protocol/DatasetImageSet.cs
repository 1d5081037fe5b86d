using System.Globalization;
using NextPatch.Core;
using NextPatch.Core.Imaging;
using NextPatch.Data.Datasets;
using NextPatch.Data.Sources;

namespace NextPatch.Evaluation.Protocol;

/// <summary>Images of a dataset: files of a folder or an archive, records.</summary>
internal sealed class DatasetImageSet : ImageSet
{
    private readonly DatasetParts _parts;
    private readonly ImageSource _source;
    private readonly int? _side;
    private readonly Lazy<(int Height, int Width)> _size;

    private DatasetImageSet(DatasetParts parts, ImageSource source, int? side)
    {
        (_parts, _source, _side) = (parts, source, side);
        _size = new Lazy<(int, int)>(() => side is { } s ? (s, s) : source.Decode(0) is var first ? (first.Height, first.Width) : default);
    }

    public override int Count => _source.Count;

    public override bool IsStored => true;

    public override (int Height, int Width) Size => _size.Value;

    public override IReadOnlyList<string> Warnings
        => [.. LeftOutFiles.Describe(Name, _source.LeftOut) is { } leftOut ? [leftOut] : Array.Empty<string>(), .. CompressionWarning];

    private IReadOnlyList<string> CompressionWarning
        => Enumerable.Range(0, Count).Count(i => IsJpeg(_source.PathOf(i))) is var jpegs and > 0
            ? [string.Create(
                CultureInfo.InvariantCulture, $"{jpegs:N0} of the {Count:N0} images of {Name} are JPEG files, whose compression moves every figure; ")
                + "write samples as PNG or npz, and compare only with images of the same compression."]
            : [];

    /// <summary>Opens one part of a dataset.</summary>
    /// <param name="path">What <see cref="DatasetReader.OpenParts"/> opens.</param>
    /// <param name="part">train or test; null: the only part, or train.</param>
    /// <param name="side">Side of the square that images are cropped to (<see cref="ImageCrops.Centre"/>); null: as they are, which must be one
    /// size.</param>
    /// <param name="cancellation">Stops the listing.</param>
    /// <exception cref="NextPatch.Core.NextPatchException">Not a dataset, or without that part.</exception>
    public static DatasetImageSet Open(string path, string? part, int? side, CancellationToken cancellation = default)
    {
        if (part is not (null or "train" or "test"))
        {
            throw new ConfigException($"A dataset has the parts train and test, but no part '{part}'.");
        }

        var parts = DatasetReader.OpenParts(path, cancellation);
        if (part == "test" && parts.Test is null)
        {
            parts.Dispose();
            throw new Core.NextPatchException($"'{path}' has no test part; it is one set of images. Leave the part out.");
        }

        var source = part == "test" ? parts.Test! : parts.Train;
        return new DatasetImageSet(parts, source, side)
        {
            Name = source.Name,
            Layout = source.Layout,
            Part = parts.Test is null ? part : part ?? "train",
            Labels = source.ClassNames.Count > 1 ? [.. Enumerable.Range(0, source.Count).Select(source.Label)] : null,
            ClassCount = source.ClassNames.Count > 1 ? source.ClassNames.Count : null,
        };
    }

    public override IEnumerable<ImageBatch> Read(CancellationToken cancellation = default)
    {
        byte[] pixels = []; // [N, H, W, 3]
        var batch = ImagesPerBatch;
        var images = new ImageStream(_source, lookAhead: 2 * batch);
        foreach (var image in images.Read((image, _) => _side is { } side ? ImageCrops.Centre(image, side) : image, cancellationToken: cancellation))
        {
            if (image.Value.Width != Size.Width || image.Value.Height != Size.Height)
            {
                throw new DataFormatException(
                    $"'{image.Path}' is {image.Value.Width}x{image.Value.Height} pixels but '{_source.PathOf(0)}' is {Size.Width}x{Size.Height}: "
                        + $"images must have one size. Say ImageSize to crop them all, or take the odd ones out.")
                { Settings = ["ImageSize"] };
            }

            var (place, size) = (image.Index % batch, image.Value.Pixels.Length);
            pixels = place == 0 ? new byte[Math.Min(batch, Count - image.Index) * size] : pixels;
            image.Value.Pixels.CopyTo(pixels, place * size);
            if ((place + 1) * size == pixels.Length)
            {
                yield return new ImageBatch(place + 1, Size.Height, Size.Width, pixels);
            }
        }
    }

    protected override void Dispose(bool disposing)
    {
        _parts.Dispose();
        base.Dispose(disposing);
    }

    private static bool IsJpeg(string path) => Path.GetExtension(path) is var e
        && (e.Equals(".jpg", StringComparison.OrdinalIgnoreCase) || e.Equals(".jpeg", StringComparison.OrdinalIgnoreCase));
}
