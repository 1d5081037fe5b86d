using NextPatch.Core;

namespace NextPatch.Data.Containers;

/// <summary>Names of files in archives, made safe, and the folders that they imply.</summary>
internal sealed class ArchivePaths
{
    private readonly string _archive;
    private readonly List<string> _files = [];
    private readonly HashSet<string> _seen = new(StringComparer.Ordinal);
    private readonly HashSet<string> _folders = new(StringComparer.Ordinal);

    public ArchivePaths(string archive) => _archive = archive;

    public IReadOnlyList<string> Files => _files;

    public IReadOnlyCollection<string> Folders => _folders;

    /// <returns>False for a file in a hidden folder, which is passed over.</returns>
    /// <exception cref="DataFormatException">The name leaves the archive, or comes twice.</exception>
    public bool AddFile(string name)
    {
        if (Parts(name) is not { Length: > 0 } parts || !AddFolders(parts.AsSpan(0, parts.Length - 1)))
        {
            return false;
        }

        var path = string.Join('/', parts);
        if (!_seen.Add(path))
        {
            throw new DataFormatException($"'{_archive}' holds two files named '{path}'; pack it again.");
        }

        _files.Add(path);
        return true;
    }

    /// <summary>Folders that are no classes: hidden ones, and what macOS adds to archives.</summary>
    public static bool IsPassedOver(string folderName) => folderName.StartsWith('.') || folderName == "__MACOSX";

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
            _folders.Add(path);
        }

        return true;
    }

    private string[] Parts(string name)
    {
        var unified = name.Replace('\\', '/');
        var parts = unified.Split('/', StringSplitOptions.RemoveEmptyEntries).Where(p => p != ".").ToArray();
        return unified.StartsWith('/') || parts.Contains("..") || parts.Any(p => p.Contains(':') || p.Contains('\0'))
            ? throw new DataFormatException(
                $"'{_archive}' holds a file named '{name}', which leads out of the archive; it is hostile or was packed with absolute paths.")
            : parts;
    }
}
