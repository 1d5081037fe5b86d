using NextPatch.Core;
using NextPatch.Core.Checkpoints.Numpy;
using NextPatch.Core.Tensors;
using NextPatch.Data.Sources;

namespace NextPatch.Evaluation.Protocol;

// Shape letters used in this file: N images, H rows, W columns.

/// <summary>Images in a NumPy archive as evaluators write it: <c>arr_0</c> (or the only such array) uint8 [N, H, W, 3]. Read as a stream.</summary>
internal sealed class ArrayImageSet : ImageSet
{
    private readonly string _path;
    private readonly string _array;
    private readonly (int Count, int Height, int Width) _shape;

    private ArrayImageSet(string path, string array, (int, int, int) shape) => (_path, _array, _shape) = (path, array, shape);

    public override int Count => _shape.Count;

    public override bool IsStored => true;

    public override (int Height, int Width) Size => (_shape.Height, _shape.Width);

    /// <summary>Looks at the headers.</summary>
    /// <param name="path">The archive.</param>
    /// <param name="labels">Class of each image, where something beside the archive says; null: what the archive says.</param>
    /// <param name="classCount">Number of classes; null if unknown.</param>
    /// <param name="drawing">How <c>sample</c> drew the images; null if unknown.</param>
    /// <param name="rounding">How bytes came out of floating-point images; null if unknown.</param>
    /// <param name="part">Which part of a dataset the images are said to be.</param>
    /// <exception cref="DataFormatException">Damaged, or it holds no RGB images.</exception>
    public static ArrayImageSet Open(
        string path, IReadOnlyList<int>? labels = null, int? classCount = null, Drawing? drawing = null, string? rounding = null, string? part = null)
    {
        using var file = NpzFile.Open(path);
        var names = FindImages(file);
        if (names is not [var name])
        {
            throw new DataFormatException(
                $"'{path}' holds {(names.Count == 0 ? "no images" : "several arrays that could be meant")}: expected 'arr_0', uint8 [N, rows, "
                + $"columns, 3], but it has {string.Join(", ", file.Tensors.Select(t => $"{t.Key} {t.Value}"))}.");
        }

        var images = file.Tensors[name];
        if (!ArrayImages.AreColours(images))
        {
            throw new DataFormatException($"'{path}' holds {name} {images}; expected RGB images, UInt8 [N, rows, columns, 3]{Advice(images)}.");
        }

        labels ??= ArrayImages.ReadLabels(path, file, images.Shape[0], classes: int.MaxValue);
        return labels is null || labels.Count == images.Shape[0]
            ? new ArrayImageSet(path, name, ((int)images.Shape[0], (int)images.Shape[1], (int)images.Shape[2]))
            {
                Name = Path.GetFileName(path), Layout = "NumPy archive", File = path, Labels = labels, ClassCount = classCount, Drawing = drawing,
                Part = part,
                Rounding = rounding ?? "as stored",
            }
            : throw new DataFormatException(
                $"'{path}' holds {images.Shape[0]} images, but samples.json beside it speaks of {labels.Count}; they do not belong together.");
    }

    /// <summary>Whether an archive holds an array of images, sound or not.</summary>
    public static bool HasImages(string path)
    {
        using var file = NpzFile.Open(path);
        return FindImages(file).Count == 1;
    }

    public override IEnumerable<ImageBatch> Read(CancellationToken cancellation = default)
    {
        var (count, height, width) = _shape;
        var (size, most) = (height * width * 3, ImagesPerBatch);
        using var reader = new NpzArrayReader(_path, _array);
        for (var first = 0; first < count; first += most)
        {
            cancellation.ThrowIfCancellationRequested();
            var images = Math.Min(most, count - first);
            var batch = new ImageBatch(images, height, width, new byte[images * size]);
            reader.Read(batch.Pixels);
            yield return batch;
        }
    }

    private static IReadOnlyList<string> FindImages(TensorFile file)
        => file.Tensors.ContainsKey("arr_0")
            ? ["arr_0"]
            : [.. file.Tensors.Where(t => t.Value.Shape.Count is 4 && t.Value.Type == ElementType.UInt8).Select(t => t.Key)];

    private static string Advice(StoredTensor images) => images.Shape switch
    {
        [_, _, _] or [_, _, _, 1] =>
            "; these have one channel, and the networks were trained on colours: repeat it three times if that is what you want",
        [_, 3, _, _] => "; these are [N, 3, rows, columns]: transpose them",
        [0, ..] => "; there is none",
        _ when images.Type != ElementType.UInt8 => "; make them bytes first: how they are rounded is part of the protocol",
        _ => "",
    };
}
