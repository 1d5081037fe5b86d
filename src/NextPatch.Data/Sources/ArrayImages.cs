using System.Globalization;
using NextPatch.Core;
using NextPatch.Core.Checkpoints.Numpy;
using NextPatch.Core.Imaging;
using NextPatch.Core.Tensors;

namespace NextPatch.Data.Sources;

// Shape letters used in this file: N images, H rows, W columns.

/// <summary>
/// Images in a NumPy archive: <c>arr_0</c> (or the only such array) uint8 [N, H, W, 3], [N, H, W, 1] or [N, H, W], and labels [N] where there are
/// any.
/// </summary>
internal sealed class ArrayImages : ImageSource
{
    private const int LargestSide = 1 << 14;
    private static readonly string[] LabelNames = ["labels", "label", "y", "arr_1"];

    private readonly string _path;
    private readonly TensorFile _file;
    private readonly StoredTensor _images;
    private readonly int[] _labels;

    private ArrayImages(string path, TensorFile file, StoredTensor images, int[] labels)
        => (_path, _file, _images, _labels) = (path, file, images, labels);

    public override int Count => (int)_images.Shape[0];

    public override int? Side => Height == Width ? Height : null;

    private int Height => (int)_images.Shape[1];

    private int Width => (int)_images.Shape[2];

    private int Channels => _images.Shape.Count == 3 ? 1 : (int)_images.Shape[3];

    /// <exception cref="DataFormatException">Damaged, or it holds no images of this form.</exception>
    public static ArrayImages Open(string path, string name)
    {
        var file = NpzFile.Open(path);
        try
        {
            var found = file.Tensors.TryGetValue("arr_0", out var first) && IsImages(first) ? [first] : file.Tensors.Values.Where(IsImages).ToList();
            if (found is not [var images])
            {
                throw new DataFormatException(
                    $"'{path}' holds {(found.Count == 0 ? "no array" : "several arrays")} of images: expected 'arr_0' or one array uint8 [images, "
                    + $"rows, columns, 3], but it has {string.Join(", ", file.Tensors.Select(t => $"{t.Key} {t.Value}"))}. Save the images of one "
                    + "part as 'arr_0', their classes as 'labels'.");
            }

            // A deflated array would be inflated again for every image.
            images = images.TryGetSpan(0, 1, out _) ? images : StoredTensor.From(images.Read());
            var labels = ReadLabels(path, file, images.Shape[0], ImageList.MaxClasses) ?? new int[images.Shape[0]];
            return new ArrayImages(path, file, images, labels)
            {
                Name = name,
                Layout = "NumPy array",
                ClassNames = [.. Enumerable.Range(0, labels.Max() + 1).Select(k => k.ToString(CultureInfo.InvariantCulture))],
            };
        }
        catch
        {
            file.Dispose();
            throw;
        }
    }

    public override int Label(int i) => _labels[i];

    public override string PathOf(int i) => string.Create(CultureInfo.InvariantCulture, $"{_path}[{i}]");

    public override RgbImage Decode(int i)
    {
        var image = new RgbImage(Width, Height);
        if (Channels == 3)
        {
            _images.CopyTo((long)i * image.Pixels.Length, image.Pixels);
            return image;
        }

        var grey = new byte[Width * Height];
        _images.CopyTo((long)i * grey.Length, grey);
        for (var k = 0; k < grey.Length; k++)
        {
            image.Pixels.AsSpan(k * 3, 3).Fill(grey[k]);
        }

        return image;
    }

    protected override void Dispose(bool disposing)
    {
        _file.Dispose();
        base.Dispose(disposing);
    }

    /// <summary>Whether an array is uint8 [N, H, W, 3].</summary>
    public static bool AreColours(StoredTensor tensor) => IsImages(tensor) && tensor.Shape is [_, _, _, 3];

    /// <summary>The labels [N] of an archive of images; null where it has none.</summary>
    /// <param name="path">The archive, for messages.</param>
    /// <param name="file">The archive.</param>
    /// <param name="count">N.</param>
    /// <param name="classes">Labels are below it.</param>
    /// <exception cref="DataFormatException">They are not N integers from 0 on.</exception>
    public static int[]? ReadLabels(string path, TensorFile file, long count, int classes)
    {
        if (LabelNames.FirstOrDefault(file.Tensors.ContainsKey) is not { } name)
        {
            return null;
        }

        var stored = file.Tensors[name];
        var labels = stored.Shape.Count == 1 && stored.Type.IsInteger() ? stored.Read().ToInt64() : null;
        return labels is not null && labels.Length == count && labels.All(l => l >= 0 && l < classes)
            ? Array.ConvertAll(labels, l => (int)l)
            : throw new DataFormatException(
                $"'{path}' has labels {name} {stored}; expected {count} integers from 0 to {classes - 1}, of shape [{count}]. Reshape them, or "
                    + $"give the "
                + $"array another name if it holds something else.");
    }

    private static bool IsImages(StoredTensor tensor)
        => tensor is { Type: ElementType.UInt8, Shape: [> 0 and < int.MaxValue, > 0 and <= LargestSide, > 0 and <= LargestSide, ..] shape }
            && (shape.Count == 3 || (shape.Count == 4 && shape[3] is 1 or 3));
}
