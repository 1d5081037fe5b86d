using NextPatch.Core;
using NextPatch.Data.Containers;

namespace NextPatch.Data.Sources;

/// <summary>
/// CIFAR binary records: one label byte (CIFAR-100: a coarse and a fine one, of which the fine one counts), then 1,024 bytes each of red,
/// green and blue, rows from top to bottom.
/// </summary>
internal sealed class CifarRecords
{
    private const int Side = 32;
    private const int Plane = Side * Side;
    private readonly string[] _train;
    private readonly string? _test;
    private readonly int _labelBytes;

    private CifarRecords(string[] train, string? test, int labelBytes = 1) => (_train, _test, _labelBytes) = (train, test, labelBytes);

    private IReadOnlyList<string> ClassNames => _labelBytes == 1 ? CifarClasses.Ten : CifarClasses.Hundred;

    private string Format => _labelBytes == 1 ? "CIFAR-10" : "CIFAR-100";

    /// <returns>Null if the path is no record file and no folder that holds data_batch_*.bin, train.bin (CIFAR-100) or exactly one record
    /// file.</returns>
    public static CifarRecords? Find(string path)
    {
        if (File.Exists(path))
        {
            return IsRecordFile(path) ? new CifarRecords([path], null) : null;
        }

        var files = Directory.GetFiles(path).Where(IsRecordFile).Order(StringComparer.Ordinal).ToArray();
        var batches = files.Where(f => Path.GetFileName(f).StartsWith("data_batch_", StringComparison.Ordinal)).ToArray();
        if (batches.Length > 0)
        {
            return new CifarRecords(batches, CompressedFile.Find(Path.Combine(path, "test_batch.bin")));
        }

        if (CompressedFile.Find(Path.Combine(path, "train.bin")) is { } train)
        {
            return new CifarRecords([train], CompressedFile.Find(Path.Combine(path, "test.bin")), labelBytes: 2);
        }

        return files.Length == 1 ? new CifarRecords(files, null) : null;
    }

    public ImageDataset ReadTrain(string name, CancellationToken cancellationToken) => Read(_train, name, cancellationToken);

    /// <returns>Null if there is no test part.</returns>
    public ImageDataset? ReadTest(string name, CancellationToken cancellationToken) => _test is null ? null : Read([_test], name, cancellationToken);

    private static bool IsRecordFile(string path)
        => path.EndsWith(".bin", StringComparison.OrdinalIgnoreCase) || path.EndsWith(".bin.gz", StringComparison.OrdinalIgnoreCase);

    private ImageDataset Read(string[] paths, string name, CancellationToken cancellationToken)
    {
        var pixels = new List<byte[]>();
        var labels = new List<int>();
        foreach (var path in paths)
        {
            ReadFile(path, pixels, labels, cancellationToken);
        }

        if (labels.Count == 0)
        {
            throw new DataFormatException($"'{paths[0]}' holds no {Format} record; the file is empty.");
        }

        var all = SquareImages.Allocate(labels.Count, Side);
        for (var i = 0; i < pixels.Count; i++)
        {
            pixels[i].CopyTo(all, i * 3 * Plane);
        }

        return new ImageDataset { Name = name, Side = Side, ClassNames = ClassNames, Pixels = all, Labels = [.. labels] };
    }

    private void ReadFile(string path, List<byte[]> pixels, List<int> labels, CancellationToken cancellationToken)
    {
        using var source = CompressedFile.Open(path);
        var record = new byte[_labelBytes + (3 * Plane)];
        for (var bytes = 0L; ; bytes += record.Length)
        {
            cancellationToken.ThrowIfCancellationRequested();
            var got = CompressedFile.ReadUpTo(source, record, path, bytes);
            if (got == 0)
            {
                return;
            }

            if (got < record.Length)
            {
                throw new DataFormatException(
                    $"'{path}' is truncated: expected whole {Format} records of {record.Length} bytes ({bytes + record.Length} in all) but got "
                        + $"{bytes + got} bytes.");
            }

            var label = record[_labelBytes - 1];
            if (label >= ClassNames.Count)
            {
                throw new DataFormatException(
                    $"'{path}' does not hold {Format} records: record {bytes / record.Length} has label {label}, expected 0 to "
                        + $"{ClassNames.Count - 1}.");
            }

            labels.Add(label);
            pixels.Add(Interleave(record.AsSpan(_labelBytes)));
        }
    }

    private static byte[] Interleave(ReadOnlySpan<byte> planes)
    {
        var rgb = new byte[3 * Plane];
        for (var i = 0; i < Plane; i++)
        {
            rgb[3 * i] = planes[i];
            rgb[(3 * i) + 1] = planes[Plane + i];
            rgb[(3 * i) + 2] = planes[(2 * Plane) + i];
        }

        return rgb;
    }
}

/// <summary>Class names of CIFAR-10 and CIFAR-100 (fine labels), in label order.</summary>
internal static class CifarClasses
{
    public static IReadOnlyList<string> Ten { get; } = ["airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck"];

    public static IReadOnlyList<string> Hundred { get; } =
    [
        "apple", "aquarium_fish", "baby", "bear", "beaver", "bed", "bee", "beetle", "bicycle", "bottle",
        "bowl", "boy", "bridge", "bus", "butterfly", "camel", "can", "castle", "caterpillar", "cattle",
        "chair", "chimpanzee", "clock", "cloud", "cockroach", "couch", "crab", "crocodile", "cup", "dinosaur",
        "dolphin", "elephant", "flatfish", "forest", "fox", "girl", "hamster", "house", "kangaroo", "keyboard",
        "lamp", "lawn_mower", "leopard", "lion", "lizard", "lobster", "man", "maple_tree", "motorcycle", "mountain",
        "mouse", "mushroom", "oak_tree", "orange", "orchid", "otter", "palm_tree", "pear", "pickup_truck", "pine_tree",
        "plain", "plate", "poppy", "porcupine", "possum", "rabbit", "raccoon", "ray", "road", "rocket",
        "rose", "sea", "seal", "shark", "shrew", "skunk", "skyscraper", "snail", "snake", "spider",
        "squirrel", "streetcar", "sunflower", "sweet_pepper", "table", "tank", "telephone", "television", "tiger", "tractor",
        "train", "trout", "tulip", "turtle", "wardrobe", "whale", "willow_tree", "wolf", "woman", "worm",
    ];
}
