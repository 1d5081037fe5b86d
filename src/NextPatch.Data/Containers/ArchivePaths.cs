using NextPatch.Core;
using NextPatch.Core.Tensors;

namespace NextPatch.Data.Containers;

/// <summary>Names of files in archives, made safe, and the folders that they imply.</summary>
internal sealed class ArchivePaths
{
    private const int MaxName = 4096;

    private readonly string _archive;
    private readonly List<string> _files = [];
    private readonly List<string> _passedOver = [];
    private readonly HashSet<string> _seen = new(StringComparer.Ordinal);
    private readonly HashSet<string> _folders = new(StringComparer.Ordinal);

    public ArchivePaths(string archive) => _archive = archive;

    public IReadOnlyList<string> Files => _files;

    public IReadOnlyCollection<string> Folders => _folders;

    /// <summary>Files in folders that are passed over.</summary>
    public IReadOnlyList<string> PassedOver => _passedOver;

    /// <returns>False for a file in a hidden folder, which is passed over.</returns>
    /// <exception cref="DataFormatException">The name leaves the archive, or comes twice.</exception>
    public bool AddFile(string name)
    {
        if (Parts(name) is not { Length: > 0 } parts)
        {
            return false;
        }

        if (!AddFolders(parts.AsSpan(0, parts.Length - 1)))
        {
            _passedOver.Add(string.Join('/', parts));
            return false;
        }

        var path = string.Join('/', parts);
        if (!_seen.Add(path))
        {
            throw new DataFormatException($"'{_archive}' holds two files named {StoredFile.Quote(path)}; pack it again.");
        }

        _files.Add(path);
        return true;
    }

    /// <summary>Folders that are no classes: hidden ones, and what macOS, Windows, and the disk stations of Synology and QNAP add.</summary>
    public static bool IsPassedOver(string folderName)
        => folderName.StartsWith('.') || folderName is "__MACOSX" or "@eaDir" or "#recycle" or "@Recycle" or "$RECYCLE.BIN"
            or "System Volume Information" or "lost+found";

    public void AddFolder(string name) => AddFolders(Parts(name));

    private bool AddFolders(ReadOnlySpan<string> parts)
    {
        var path = "";
        foreach (var part in parts)
        {
            if (IsPassedOver(part))
            {
                return false;
            }

            path = path.Length == 0 ? part : $"{path}/{part}";
            if (_folders.Add(path) && _folders.Count > FolderFiles.MaxFolders)
            {
                throw new DataFormatException(
                    $"'{_archive}' holds more than {FolderFiles.MaxFolders} folders; it is hostile, or must be packed as several archives.");
            }
        }

        return true;
    }

    private string[] Parts(string name)
    {
        var unified = name.Length > MaxName ? "" : name.Replace('\\', '/');
        var parts = unified.Split('/', StringSplitOptions.RemoveEmptyEntries).Where(p => p != ".").ToArray();
        if (name.Length > MaxName || parts.Length > FolderFiles.MaxDepth + 1)
        {
            throw new DataFormatException(
                $"'{_archive}' holds a file that lies more than {FolderFiles.MaxDepth} folders deep, or whose name has more than {MaxName} "
                + $"characters: {StoredFile.Quote(name)}; it is hostile or damaged.");
        }

        return unified.StartsWith('/') || parts.Contains("..") || parts.Any(p => p.Contains(':') || p.Contains('\0'))
            ? throw new DataFormatException(
                $"'{_archive}' holds a file named {StoredFile.Quote(name)}, which leads out of the archive; it is hostile or was packed with "
                    + $"absolute "
                + $"paths.")
            : parts;
    }
}
