using NextPatch.Core;
using NextPatch.Core.Checkpoints.Zip;
using NextPatch.Core.Files;
using NextPatch.Data.Containers;
using NextPatch.Data.Sources;

namespace NextPatch.Data.Datasets;

/// <summary>Opens labelled images from disk, whatever layout they lie in.</summary>
public static class DatasetReader
{
    private const int DefaultSide = 32;

    private const string KnownLayouts =
        """
        - one subfolder of image files (JPEG, PNG, WebP, GIF, BMP) per class, such folders under train/ and test/ (or val/), or image files alone
        - a .tar, .tar.gz, .tgz or .zip archive of such folders
        - MNIST-style files train-images-idx3-ubyte and train-labels-idx1-ubyte, plain or .gz (t10k-... for the test part)
        - CIFAR binary records: data_batch_*.bin and test_batch.bin, train.bin and test.bin (CIFAR-100), or a single .bin or .bin.gz file
        - a .npz archive with arr_0 uint8 [images, rows, columns, 3] and, if it has them, labels
        - a .csv or .jsonl list with the columns or keys path and label
        """;

    /// <summary>Reads a dataset into memory. See the README for the layouts; an unknown one is answered with the list.</summary>
    /// <param name="path">A folder, an archive, a list or a record file.</param>
    /// <param name="side">Width and height of the result; null keeps what the format has (IDX and CIFAR: 32; arrays of squares) and means 32 for
    /// image files.</param>
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
        using var parts = OpenParts(path, cancellationToken);
        return Read(parts, side, seed, heldOutShare, progress, cancellationToken);
    }

    /// <inheritdoc cref="Open"/>
    internal static DatasetSplit Read(
        DatasetParts parts, int? side, ulong seed, double heldOutShare, IProgress<ReadProgress>? progress, CancellationToken cancellationToken)
    {
        if (side is { } s)
        {
            ArgumentOutOfRangeException.ThrowIfLessThan(s, 1, nameof(side));
        }

        ArgumentOutOfRangeException.ThrowIfNegative(heldOutShare);
        ArgumentOutOfRangeException.ThrowIfGreaterThanOrEqual(heldOutShare, 1);
        var chosen = side ?? parts.Train.Side ?? DefaultSide;
        var train = SquareImages.Read(parts.Train, chosen, progress, cancellationToken);
        return parts.Test is null
            ? HeldOutChoice.Split(train, seed, heldOutShare)
            : new DatasetSplit(train, SquareImages.Read(parts.Test, chosen, progress, cancellationToken));
    }

    /// <summary>Opens a dataset whose images are decoded one by one, as they are asked for.</summary>
    /// <param name="path">A folder, an archive, a list or a record file.</param>
    /// <param name="cancellationToken">Stops the listing.</param>
    /// <exception cref="NextPatchException">The path is missing, holds no known layout, no images, or an empty class folder.</exception>
    /// <exception cref="DataFormatException">An archive, a list or a record file is damaged.</exception>
    public static DatasetParts OpenParts(string path, CancellationToken cancellationToken = default)
    {
        if (!Directory.Exists(path) && !File.Exists(path))
        {
            throw new NextPatchException($"Dataset '{path}' does not exist.");
        }

        try
        {
            RegularFile.Require(path);
            return Find(path, Path.GetFileName(Path.TrimEndingDirectorySeparator(Path.GetFullPath(path))), cancellationToken);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw new NextPatchException($"Dataset '{path}' cannot be read: {e.Message}", e);
        }
    }

    private static DatasetParts Find(string path, string name, CancellationToken cancellationToken)
    {
        bool Ends(params string[] endings) => endings.Any(ending => path.EndsWith(ending, StringComparison.OrdinalIgnoreCase));

        if (IdxFiles.Find(path) is { } idx)
        {
            return Held(idx.ReadTrain(name, cancellationToken), idx.ReadTest(name, cancellationToken), "IDX files");
        }

        if (CifarRecords.Find(path) is { } cifar)
        {
            return Held(cifar.ReadTrain(name, cancellationToken), cifar.ReadTest(name, cancellationToken), "CIFAR records");
        }

        if (Directory.Exists(path))
        {
            var files = new FolderFiles(path, cancellationToken);
            return files.Folders.Count > 0 || files.Paths.Any(ImageFiles.IsImage)
                ? new ImageTree(files, path).Open(name, "image folder", isArchive: false)
                : throw Unknown(path, $"It holds no subfolders and {files.Paths.Count} files.");
        }

        // What the first bytes say counts more than the extension.
        var content = FileContents.From(path);
        return content is FileContent.Tar or FileContent.Gzip || (content == FileContent.Unknown && Ends(".tar", ".tar.gz", ".tgz"))
                ? OpenArchive(TarFiles.Open(path, cancellationToken), path, name, "tar archive")
            : Ends(".npz") || (content == FileContent.Zip && !Ends(".zip") && HoldsArrays(path))
                ? new DatasetParts(ArrayImages.Open(path, name), null)
            : content == FileContent.Zip || Ends(".zip") ? OpenArchive(ZipFiles.Open(path), path, name, "zip archive")
            : Ends(".csv", ".jsonl", ".ndjson") ? new DatasetParts(ImageList.Open(path, name), null)
            : throw Unknown(path, $"It is a file of another kind.{FileContents.Remark(path)}");
    }

    private static bool HoldsArrays(string path)
    {
        using var zip = new StoredZip(path);
        return zip.Names.Count > 0 && zip.Names.All(member => member.EndsWith(".npy", StringComparison.Ordinal));
    }

    private static DatasetParts OpenArchive(IFileSet files, string path, string name, string layout)
    {
        try
        {
            return new ImageTree(files, path).Open(name, layout, isArchive: true);
        }
        catch
        {
            files.Dispose();
            throw;
        }
    }

    private static DatasetParts Held(ImageDataset train, ImageDataset? test, string layout)
        => new(InMemoryImages.From(train, layout), test is null ? null : InMemoryImages.From(test, layout));

    private static NextPatchException Unknown(string path, string found)
        => new($"'{path}' is not a dataset of a known layout. {found} Looked for:{Environment.NewLine}{KnownLayouts}");
}
