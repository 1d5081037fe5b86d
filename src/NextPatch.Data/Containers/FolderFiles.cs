using NextPatch.Core;
using NextPatch.Data.Imaging;

namespace NextPatch.Data.Containers;

/// <summary>The files of a folder tree. Links to folders are followed, as torchvision follows them.</summary>
internal sealed class FolderFiles : IFileSet
{
    // A link to a folder above itself would never end.
    private const int MaxDepth = 32;

    private readonly string _root;
    private readonly List<string> _paths = [];
    private readonly List<string> _folders = [];

    public FolderFiles(string root, CancellationToken cancellationToken = default)
    {
        _root = root;
        Walk("", 0, cancellationToken);
    }

    public IReadOnlyList<string> Paths => _paths;

    public IReadOnlyCollection<string> Folders => _folders;

    public string Describe(int file) => Path.Combine(_root, _paths[file].Replace('/', Path.DirectorySeparatorChar));

    public byte[] Read(int file) => ImageDecoder.ReadFile(Describe(file));

    public void Dispose()
    {
    }

    private void Walk(string folder, int depth, CancellationToken cancellationToken)
    {
        cancellationToken.ThrowIfCancellationRequested();
        if (depth > MaxDepth)
        {
            throw new NextPatchException(
                $"'{Path.Combine(_root, folder)}' lies more than {MaxDepth} folders deep; a link probably leads back to a folder above itself.");
        }

        foreach (var entry in new DirectoryInfo(Path.Combine(_root, folder)).EnumerateFileSystemInfos())
        {
            var path = folder.Length == 0 ? entry.Name : $"{folder}/{entry.Name}";
            if (!entry.Attributes.HasFlag(FileAttributes.Directory))
            {
                _paths.Add(path);
            }
            else if (!ArchivePaths.IsPassedOver(entry.Name))
            {
                _folders.Add(path);
                Walk(path, depth + 1, cancellationToken);
            }
        }
    }
}
