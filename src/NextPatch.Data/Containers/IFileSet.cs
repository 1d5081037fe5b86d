namespace NextPatch.Data.Containers;

/// <summary>Files under a folder or in an archive. Reading is safe from several threads.</summary>
internal interface IFileSet : IDisposable
{
    /// <summary>Files, relative, separated by '/'; never rooted and without '..'.</summary>
    IReadOnlyList<string> Paths { get; }

    /// <summary>Folders, relative, separated by '/', also those without files.</summary>
    IReadOnlyCollection<string> Folders { get; }

    /// <summary>Folders that were not looked into, or files in such folders of an archive, relative; see
    /// <see cref="ArchivePaths.IsPassedOver"/>.</summary>
    IReadOnlyList<string> PassedOver => [];

    /// <summary>What messages call a file.</summary>
    string Describe(int file);

    /// <exception cref="Core.NextPatchException">The file cannot be read; names it.</exception>
    byte[] Read(int file);
}
