using System.IO.Compression;
using System.IO.Hashing;
using NextPatch.Core;
using NextPatch.Core.Files;
using NextPatch.Core.Tensors;
using NextPatch.Data.Imaging;

namespace NextPatch.Data.Containers;

/// <summary>The files of a zip archive, inflated one at a time as they are asked for.</summary>
internal sealed class ZipFiles : IFileSet
{
    private const int MaxInflation = 1032; // deflate's limit
    private const int UnixTypeMask = 0xF000;
    private const int UnixLink = 0xA000;

    private readonly string _path;
    private readonly ZipArchive _archive;
    private readonly Lock _gate = new();
    private readonly ArchivePaths _paths;
    private readonly List<ZipArchiveEntry> _entries = [];

    private ZipFiles(string path, ZipArchive archive) => (_path, _archive, _paths) = (path, archive, new ArchivePaths(path));

    public IReadOnlyList<string> Paths => _paths.Files;

    public IReadOnlyCollection<string> Folders => _paths.Folders;

    public IReadOnlyList<string> PassedOver => _paths.PassedOver;

    /// <exception cref="DataFormatException">Damaged, or it holds a link or a name that leads out of it.</exception>
    public static ZipFiles Open(string path)
    {
        try
        {
            RegularFile.Require(path);
            var files = new ZipFiles(path, ZipFile.OpenRead(path));
            try
            {
                files.List();
                return files;
            }
            catch
            {
                files.Dispose();
                throw;
            }
        }
        catch (InvalidDataException e)
        {
            throw new DataFormatException($"'{path}' is not a sound zip archive: {e.Message}", e);
        }
    }

    public string Describe(int file) => $"{_path}: {Paths[file]}";

    public byte[] Read(int file)
    {
        var entry = _entries[file];
        if (entry.Length > ImageDecoder.MaxFileBytes || entry.Length > entry.CompressedLength * MaxInflation)
        {
            throw new DataFormatException(
                $"'{Describe(file)}' claims {entry.Length:N0} bytes, more than an image may have or {entry.CompressedLength:N0} stored bytes can "
                + $"hold.");
        }

        var bytes = new byte[entry.Length];
        try
        {
            // The archive has one position for all its members.
            lock (_gate)
            {
                using var stream = entry.Open();
                stream.ReadExactly(bytes);
                if (stream.ReadByte() >= 0)
                {
                    throw new InvalidDataException("it is longer than the archive's directory says");
                }
            }

            return Crc32.HashToUInt32(bytes) == entry.Crc32
                ? bytes
                : throw new DataFormatException($"'{Describe(file)}' does not match its checksum (CRC-32); the archive is damaged.");
        }
        catch (Exception e) when (e is InvalidDataException or EndOfStreamException or NotSupportedException)
        {
            throw new DataFormatException($"'{Describe(file)}' cannot be inflated: {e.Message}", e);
        }
        catch (IOException e)
        {
            throw new NextPatchException($"'{Describe(file)}' cannot be read: {e.Message}", e);
        }
    }

    public void Dispose() => _archive.Dispose();

    private void List()
    {
        foreach (var entry in _archive.Entries)
        {
            var mode = entry.ExternalAttributes >> 16;
            var kind = (mode & UnixTypeMask) == UnixLink ? "a link" : RegularFile.KindOf(mode);
            if (kind is not null)
            {
                throw new DataFormatException(
                    $"'{_path}' holds {StoredFile.Quote(entry.FullName)}, which is {kind}; archives with links, pipes or devices are refused. Pack "
                        + $"it "
                    + $"again without --symlinks, of files alone.");
            }

            if (entry.IsEncrypted)
            {
                throw new DataFormatException(
                    $"'{_path}' holds {StoredFile.Quote(entry.FullName)}, which is encrypted; pack it again without a password.");
            }

            if (entry.FullName.EndsWith('/'))
            {
                _paths.AddFolder(entry.FullName);
            }
            else if (_paths.AddFile(entry.FullName))
            {
                _entries.Add(entry);
            }
        }
    }
}
