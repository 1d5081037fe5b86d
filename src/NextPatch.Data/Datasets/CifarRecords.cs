using NextPatch.Core.Checkpoints;

namespace NextPatch.Data.Datasets;

/// <summary>CIFAR-10 binary records: one label byte, then 1,024 bytes each of red, green and blue, rows from top to bottom.</summary>
internal sealed class CifarRecords
{
    private const int Side = 32;
    private const int Plane = Side * Side;
    private const int RecordBytes = 1 + (3 * Plane);
    private static readonly string[] ClassNames = ["airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck"];
    private readonly string[] _train;
    private readonly string? _test;

    private CifarRecords(string[] train, string? test)
    {
        _train = train;
        _test = test;
    }

    /// <returns>Null if the path is no record file and no folder that holds data_batch_*.bin or exactly one record file.</returns>
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

        return files.Length == 1 ? new CifarRecords(files, null) : null;
    }

    public ImageDataset ReadTrain(string name, CancellationToken cancellationToken) => Read(_train, name, cancellationToken);

    /// <returns>Null if there is no test part.</returns>
    public ImageDataset? ReadTest(string name, CancellationToken cancellationToken) => _test is null ? null : Read([_test], name, cancellationToken);

    private static bool IsRecordFile(string path)
        => path.EndsWith(".bin", StringComparison.OrdinalIgnoreCase) || path.EndsWith(".bin.gz", StringComparison.OrdinalIgnoreCase);

    private static ImageDataset Read(string[] paths, string name, CancellationToken cancellationToken)
    {
        var pixels = new List<byte[]>();
        var labels = new List<int>();
        foreach (var path in paths)
        {
            ReadFile(path, pixels, labels, cancellationToken);
        }

        if (labels.Count == 0)
        {
            throw new DataFormatException($"'{paths[0]}' holds no CIFAR-10 record; the file is empty.");
        }

        var all = SquareImages.Allocate(labels.Count, Side);
        for (var i = 0; i < pixels.Count; i++)
        {
            pixels[i].CopyTo(all, i * 3 * Plane);
        }

        return new ImageDataset { Name = name, Side = Side, ClassNames = ClassNames, Pixels = all, Labels = [.. labels] };
    }

    private static void ReadFile(string path, List<byte[]> pixels, List<int> labels, CancellationToken cancellationToken)
    {
        using var source = CompressedFile.Open(path);
        var record = new byte[RecordBytes];
        for (var bytes = 0L; ; bytes += RecordBytes)
        {
            cancellationToken.ThrowIfCancellationRequested();
            var got = CompressedFile.ReadUpTo(source, record, path);
            if (got == 0)
            {
                return;
            }

            if (got < RecordBytes)
            {
                throw new DataFormatException(
                    $"'{path}' is truncated: expected whole CIFAR-10 records of {RecordBytes} bytes ({bytes + RecordBytes} in all) but got {bytes + got} bytes.");
            }

            if (record[0] >= ClassNames.Length)
            {
                throw new DataFormatException(
                    $"'{path}' does not hold CIFAR-10 records: record {bytes / RecordBytes} has label {record[0]}, expected 0 to {ClassNames.Length - 1}.");
            }

            labels.Add(record[0]);
            pixels.Add(Interleave(record.AsSpan(1)));
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
