using System.Buffers.Binary;
using System.Globalization;
using NextPatch.Core;
using NextPatch.Data.Containers;

namespace NextPatch.Data.Sources;

/// <summary>MNIST-style IDX files: grey images and labels, plain or .gz: big-endian magic and extents, then the bytes.</summary>
/// <remarks>Images are padded with black to a square whose side is a multiple of 16 (28 becomes 32), because a tokenizer halves the
/// side several times, and the grey value is repeated in R, G and B.</remarks>
internal sealed class IdxFiles
{
    private const int ImagesMagic = 0x803; // uint8, three dimensions
    private const int LabelsMagic = 0x801; // uint8, one dimension
    private readonly string _folder;

    private IdxFiles(string folder) => _folder = folder;

    /// <returns>Null if the folder has no training images in this layout.</returns>
    public static IdxFiles? Find(string folder)
        => Directory.Exists(folder) && CompressedFile.Find(Path.Combine(folder, "train-images-idx3-ubyte")) is not null ? new IdxFiles(folder) : null;

    public ImageDataset ReadTrain(string name, CancellationToken cancellationToken) => Read("train", name, cancellationToken);

    /// <returns>Null if there is no test part.</returns>
    public ImageDataset? ReadTest(string name, CancellationToken cancellationToken)
        => CompressedFile.Find(Path.Combine(_folder, "t10k-images-idx3-ubyte")) is null ? null : Read("t10k", name, cancellationToken);

    private ImageDataset Read(string part, string name, CancellationToken cancellationToken)
    {
        var images = CompressedFile.Find(Path.Combine(_folder, $"{part}-images-idx3-ubyte"))!;
        var labels = CompressedFile.Find(Path.Combine(_folder, $"{part}-labels-idx1-ubyte"))
            ?? throw new DataFormatException(
                $"'{images}' has no labels: expected {part}-labels-idx1-ubyte or {part}-labels-idx1-ubyte.gz beside it.");

        var (grey, shape) = ReadArray(images, ImagesMagic, dimensions: 3);
        cancellationToken.ThrowIfCancellationRequested();
        var (labelBytes, labelShape) = ReadArray(labels, LabelsMagic, dimensions: 1);
        if (labelShape[0] != shape[0] || shape[0] == 0)
        {
            throw new DataFormatException(
                $"'{images}' has {shape[0]} images but '{labels}' has {labelShape[0]} labels; expected as many, and at least one.");
        }

        if (shape[1] == 0 || shape[2] == 0)
        {
            throw new DataFormatException($"'{images}' holds images of {shape[1]} rows and {shape[2]} columns; expected at least one of each.");
        }

        var side = (Math.Max(shape[1], shape[2]) + 15) / 16 * 16;
        return new ImageDataset
        {
            Name = name,
            Side = side,
            ClassNames = [.. Enumerable.Range(0, Math.Max(10, labelBytes.Max() + 1)).Select(k => k.ToString(CultureInfo.InvariantCulture))],
            Pixels = PadToRgb(grey, shape, side),
            Labels = Array.ConvertAll(labelBytes, b => (int)b),
        };
    }

    private static (byte[] Data, int[] Shape) ReadArray(string path, int magic, int dimensions)
    {
        using var source = CompressedFile.Open(path);
        var header = new byte[4 + (4 * dimensions)];
        CompressedFile.ReadExactly(source, header, path, 0);
        if (BinaryPrimitives.ReadInt32BigEndian(header) != magic)
        {
            throw new DataFormatException(
                $"'{path}' is not an IDX file of {dimensions} dimensions: expected magic {magic:x8} but got "
                    + $"{BinaryPrimitives.ReadInt32BigEndian(header):x8}.");
        }

        var shape = new int[dimensions];
        var size = 1L;
        for (var d = 0; d < dimensions; d++)
        {
            shape[d] = BinaryPrimitives.ReadInt32BigEndian(header.AsSpan(4 + (4 * d)));
            // The bound on each extent keeps the product of three within 64 bits.
            size = shape[d] is < 0 or > 1 << 20 ? long.MaxValue : size == long.MaxValue ? size : size * shape[d];
        }

        if (size > Array.MaxLength)
        {
            throw new DataFormatException(
                $"'{path}' claims the shape [{string.Join(", ", shape)}], more than can be read; the file is probably damaged.");
        }

        if (size > Math.Max(CompressedFile.LimitOf(path), header.Length))
        {
            throw new DataFormatException(
                $"'{path}' claims the shape [{string.Join(", ", shape)}], {size:N0} bytes, far more than its size can hold; the file is damaged.");
        }

        var data = new byte[size];
        CompressedFile.ReadExactly(source, data, path, header.Length);
        return CompressedFile.ReadUpTo(source, new byte[1], path, header.Length + size) == 0
            ? (data, shape)
            : throw new DataFormatException($"'{path}' is longer than its header says: expected {header.Length + size} bytes (unpacked).");
    }

    private static byte[] PadToRgb(byte[] grey, int[] shape, int side)
    {
        var (count, rows, columns) = (shape[0], shape[1], shape[2]);
        var pixels = SquareImages.Allocate(count, side);
        var (top, left) = ((side - rows) / 2, (side - columns) / 2);
        for (var i = 0; i < count; i++)
        {
            for (var y = 0; y < rows; y++)
            {
                var from = ((i * rows) + y) * columns;
                var to = ((((i * side) + top + y) * side) + left) * 3;
                for (var x = 0; x < columns; x++, to += 3)
                {
                    pixels.AsSpan(to, 3).Fill(grey[from + x]);
                }
            }
        }

        return pixels;
    }
}
