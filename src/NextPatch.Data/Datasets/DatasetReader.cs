using NextPatch.Core;
using NextPatch.Core.Checkpoints;

namespace NextPatch.Data.Datasets;

/// <summary>Opens labelled images from disk, whatever layout they lie in.</summary>
public static class DatasetReader
{
    private const string KnownLayouts =
        """
        - one subfolder of .jpg, .jpeg or .png files per class, or such folders under train/ and test/ (or val/)
        - MNIST-style files train-images-idx3-ubyte and train-labels-idx1-ubyte, plain or .gz (t10k-... for the test part)
        - CIFAR-10 binary records: data_batch_*.bin and test_batch.bin, or a single .bin or .bin.gz file
        """;

    /// <summary>Reads a dataset into memory. See the README for the layouts; an unknown one is answered with the list.</summary>
    /// <param name="path">A folder, or a CIFAR-10 record file.</param>
    /// <param name="side">Width and height of the result; null keeps what the format has (IDX and CIFAR: 32) and means 32 for image files.</param>
    /// <param name="seed">Chooses the held-out images where the data brings no test part.</param>
    /// <param name="heldOutShare">Share of each class that is then held out, in [0, 1).</param>
    /// <param name="progress">Told now and then while image files are decoded; may be called from several threads.</param>
    /// <param name="cancellationToken">Stops the reading.</param>
    /// <exception cref="NextPatchException">The path is missing, holds no known layout, no images, or an empty class folder.</exception>
    /// <exception cref="DataFormatException">A file is truncated, damaged or cannot be decoded.</exception>
    public static DatasetSplit Open(
        string path,
        int? side = null,
        ulong seed = 0,
        double heldOutShare = 0.1,
        IProgress<ReadProgress>? progress = null,
        CancellationToken cancellationToken = default)
    {
        if (side is { } s)
        {
            ArgumentOutOfRangeException.ThrowIfLessThan(s, 1, nameof(side));
        }

        ArgumentOutOfRangeException.ThrowIfNegative(heldOutShare);
        ArgumentOutOfRangeException.ThrowIfGreaterThanOrEqual(heldOutShare, 1);
        if (!Directory.Exists(path) && !File.Exists(path))
        {
            throw new NextPatchException($"Dataset '{path}' does not exist.");
        }

        var name = Path.GetFileName(Path.TrimEndingDirectorySeparator(Path.GetFullPath(path)));
        try
        {
            var (train, test) = Read(path, name, side, progress, cancellationToken);
            return test is null ? HeldOutChoice.Split(train, seed, heldOutShare) : new DatasetSplit(train, test);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw new NextPatchException($"Dataset '{path}' cannot be read: {e.Message}", e);
        }
    }

    /// <returns>The parts; the test part is null where the data has none.</returns>
    private static (ImageDataset Train, ImageDataset? Test) Read(
        string path, string name, int? side, IProgress<ReadProgress>? progress, CancellationToken cancellationToken)
    {
        if (IdxFiles.Find(path) is { } idx)
        {
            return (Resize(idx.ReadTrain(name, cancellationToken), side, cancellationToken), Resize(idx.ReadTest(name, cancellationToken), side, cancellationToken));
        }

        if (CifarRecords.Find(path) is { } cifar)
        {
            return (Resize(cifar.ReadTrain(name, cancellationToken), side, cancellationToken), Resize(cifar.ReadTest(name, cancellationToken), side, cancellationToken));
        }

        if (ImageFolder.Find(path) is { } folder)
        {
            return folder.Read(name, side ?? 32, progress, cancellationToken);
        }

        var found = File.Exists(path)
            ? "It is a file; archives must be unpacked first."
            : $"It holds {Directory.GetDirectories(path).Length} subfolders and {Directory.GetFiles(path).Length} files.";
        throw new NextPatchException($"'{path}' is not a dataset of a known layout. {found} Looked for:{Environment.NewLine}{KnownLayouts}");
    }

    [return: System.Diagnostics.CodeAnalysis.NotNullIfNotNull(nameof(dataset))]
    private static ImageDataset? Resize(ImageDataset? dataset, int? side, CancellationToken cancellationToken)
        => dataset is null || side is null || side == dataset.Side ? dataset : SquareImages.Resize(dataset, side.Value, cancellationToken);
}
