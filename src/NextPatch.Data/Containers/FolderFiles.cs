using NextPatch.Core;
using NextPatch.Data.Imaging;

namespace NextPatch.Data.Containers;

/// <summary>The files of a folder tree. Links to folders are followed, as torchvision follows them, but not in circles.</summary>
internal sealed class FolderFiles : IFileSet
{
    /// <summary>Folders in folders; more are hostile, or a link to a folder above itself, which would never end.</summary>
    public const int MaxDepth = 32;

    /// <summary>Of a tree; more are hostile, or two links to one folder in each of many, which double at each.</summary>
    public const int MaxFolders = 250_000;

    private readonly string _root;
    private readonly List<string> _paths = [];
    private readonly List<string> _folders = [];
    private readonly List<string> _passedOver = [];

    public FolderFiles(string root, CancellationToken cancellationToken = default)
    {
        _root = root;
        Walk("", 0, cancellationToken);
    }

    public IReadOnlyList<string> Paths => _paths;

    public IReadOnlyCollection<string> Folders => _folders;

    public IReadOnlyList<string> PassedOver => _passedOver;

    public string Describe(int file) => Path.Combine(_root, _paths[file].Replace('/', Path.DirectorySeparatorChar));

    public byte[] Read(int file) => ImageDecoder.ReadFile(Describe(file));

    public void Dispose()
    {
    }

    private void Walk(string folder, int depth, CancellationToken cancellationToken)
    {
        cancellationToken.ThrowIfCancellationRequested();
        if (depth > MaxDepth || _folders.Count > MaxFolders)
        {
            throw new NextPatchException(
                $"'{Path.Combine(_root, folder)}' lies more than {MaxDepth} folders deep, or there are more than {MaxFolders} of them; a link "
                    + $"probably "
                + $"leads back to a folder above itself.");
        }

        foreach (var entry in new DirectoryInfo(Path.Combine(_root, folder)).EnumerateFileSystemInfos())
        {
            var path = folder.Length == 0 ? entry.Name : $"{folder}/{entry.Name}";
            if (!entry.Attributes.HasFlag(FileAttributes.Directory))
            {
                _paths.Add(path);
            }
            else if (ArchivePaths.IsPassedOver(entry.Name))
            {
                _passedOver.Add(path);
            }
            else
            {
                RequireNoCircle(entry);
                _folders.Add(path);
                Walk(path, depth + 1, cancellationToken);
            }
        }
    }

    /// <summary>Refuses a link to a folder that it lies in.</summary>
    private static void RequireNoCircle(FileSystemInfo entry)
    {
        if (entry.LinkTarget is not null && entry.ResolveLinkTarget(returnFinalTarget: true)?.FullName is { } target
            && $"{entry.FullName}/".StartsWith($"{Path.TrimEndingDirectorySeparator(target)}/", StringComparison.Ordinal))
        {
            throw new NextPatchException(
                $"'{entry.FullName}' is a link back to '{target}', a folder above itself, so that it is endlessly many folders deep; remove the "
                + $"link.");
        }
    }
}
