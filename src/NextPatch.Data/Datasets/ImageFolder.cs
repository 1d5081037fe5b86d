using System.Runtime.ExceptionServices;
using NextPatch.Core;

namespace NextPatch.Data.Datasets;

/// <summary>Image files in one subfolder per class, or such folders under train/ and test/ or val/. Classes are the folder names in ordinal order.</summary>
internal sealed class ImageFolder
{
    private static readonly string[] TestNames = ["test", "val", "validation"];
    private static readonly string[] Extensions = [".jpg", ".jpeg", ".png"];
    private readonly string _train;
    private readonly string? _test;

    private ImageFolder(string train, string? test)
    {
        _train = train;
        _test = test;
    }

    /// <returns>Null if the path is not a folder with subfolders.</returns>
    public static ImageFolder? Find(string path)
    {
        if (!Directory.Exists(path) || ClassFolders(path).Length == 0)
        {
            return null;
        }

        var train = Path.Combine(path, "train");
        if (!Directory.Exists(train) || ClassFolders(train).Length == 0)
        {
            return new ImageFolder(path, null);
        }

        return new ImageFolder(train, TestNames.Select(n => Path.Combine(path, n)).FirstOrDefault(Directory.Exists));
    }

    /// <returns>The parts; the test part is null if there is none.</returns>
    public (ImageDataset Train, ImageDataset? Test) Read(string name, int side, IProgress<ReadProgress>? progress, CancellationToken cancellationToken)
    {
        var train = ListImages(_train);
        if (_test is null)
        {
            return (Decode(_train, train, name, side, progress, cancellationToken), null);
        }

        // Checked before the long decoding.
        var test = ListImages(_test);
        var (trainNames, testNames) = (ClassNames(_train), ClassNames(_test));
        if (!trainNames.SequenceEqual(testNames))
        {
            var odd = trainNames.Except(testNames).Concat(testNames.Except(trainNames));
            throw new NextPatchException($"'{_train}' and '{_test}' must have the same class folders, but only one of them has: {string.Join(", ", odd)}.");
        }

        return (Decode(_train, train, name, side, progress, cancellationToken), Decode(_test, test, name, side, progress, cancellationToken));
    }

    private static List<(string Path, int Label)> ListImages(string root)
    {
        var images = new List<(string, int)>();
        var empty = new List<string>();
        var folders = ClassFolders(root);
        for (var label = 0; label < folders.Length; label++)
        {
            var files = Directory.GetFiles(folders[label])
                .Where(f => Extensions.Contains(Path.GetExtension(f), StringComparer.OrdinalIgnoreCase))
                .Order(StringComparer.Ordinal)
                .ToArray();
            images.AddRange(files.Select(f => (f, label)));
            if (files.Length == 0)
            {
                empty.Add(folders[label]);
            }
        }

        if (images.Count == 0)
        {
            throw new NextPatchException($"'{root}' holds no images: none of its {folders.Length} subfolders has a .jpg, .jpeg or .png file.");
        }

        return empty.Count == 0
            ? images
            : throw new NextPatchException(
                $"Class folder '{empty[0]}' holds no .jpg, .jpeg or .png file{(empty.Count > 1 ? $" (and {empty.Count - 1} more)" : "")}. Fill or remove it.");
    }

    private static ImageDataset Decode(
        string root, List<(string Path, int Label)> images, string name, int side, IProgress<ReadProgress>? progress, CancellationToken cancellationToken)
    {
        var pixels = SquareImages.Allocate(images.Count, side);
        var imageBytes = side * side * 3;
        var done = 0;
        try
        {
            Parallel.For(0, images.Count, new ParallelOptions { CancellationToken = cancellationToken }, i =>
            {
                SquareImages.Decode(images[i].Path, side, pixels.AsSpan(i * imageBytes, imageBytes));
                var now = Interlocked.Increment(ref done);
                if (now % 256 == 0 || now == images.Count)
                {
                    progress?.Report(new ReadProgress(now, images.Count));
                }
            });
        }
        catch (AggregateException e)
        {
            ExceptionDispatchInfo.Throw(e.InnerExceptions[0]);
        }

        return new ImageDataset
        {
            Name = name,
            Side = side,
            ClassNames = ClassNames(root),
            Pixels = pixels,
            Labels = [.. images.Select(i => i.Label)],
        };
    }

    private static string[] ClassNames(string root) => Array.ConvertAll(ClassFolders(root), f => Path.GetFileName(f));

    private static string[] ClassFolders(string root)
        => [.. Directory.GetDirectories(root).Where(d => !Path.GetFileName(d).StartsWith('.')).Order(StringComparer.Ordinal)];
}
