using System.Formats.Tar;
using System.IO.Compression;
using Microsoft.Win32.SafeHandles;
using NextPatch.Core;
using NextPatch.Data.Imaging;

namespace NextPatch.Data.Containers;

/// <summary>
/// The files of a tar archive, read in place. A gzipped one is unpacked to a temporary file first, because it cannot be read out of order.
/// </summary>
internal sealed class TarFiles : IFileSet
{
    // Photographs hardly shrink; small files grow by the padding between them.
    private const int MaxInflation = 64;
    private const long AlwaysAllowed = 64 << 20;

    private readonly string _path;
    private readonly SafeFileHandle _handle;
    private readonly ArchivePaths _paths;
    private readonly List<(long Offset, long Length)> _places = [];

    private TarFiles(string path, SafeFileHandle handle) => (_path, _handle, _paths) = (path, handle, new ArchivePaths(path));

    public IReadOnlyList<string> Paths => _paths.Files;

    public IReadOnlyCollection<string> Folders => _paths.Folders;

    /// <exception cref="DataFormatException">Damaged, or it holds a link or a name that leads out of it.</exception>
    public static TarFiles Open(string path, CancellationToken cancellationToken)
    {
        var isCompressed = path.EndsWith(".gz", StringComparison.OrdinalIgnoreCase) || path.EndsWith(".tgz", StringComparison.OrdinalIgnoreCase);
        var handle = isCompressed ? Unpack(path, cancellationToken) : File.OpenHandle(path, options: FileOptions.RandomAccess);
        var files = new TarFiles(path, handle);
        try
        {
            files.List(cancellationToken);
            return files;
        }
        catch (Exception e) when (e is InvalidDataException or EndOfStreamException or FormatException or ArgumentException or OverflowException)
        {
            files.Dispose();
            throw new DataFormatException($"'{path}' is not a sound tar archive: {e.Message}", e);
        }
        catch
        {
            files.Dispose();
            throw;
        }
    }

    public string Describe(int file) => $"{_path}: {Paths[file]}";

    public byte[] Read(int file)
    {
        var (offset, length) = _places[file];
        if (length > ImageDecoder.MaxFileBytes || offset + length > RandomAccess.GetLength(_handle))
        {
            throw new DataFormatException($"'{Describe(file)}' claims {length:N0} bytes, more than an image may have or the archive holds.");
        }

        var bytes = new byte[length];
        for (var done = 0; done < length;)
        {
            var got = RandomAccess.Read(_handle, bytes.AsSpan(done), offset + done);
            done += got > 0 ? got : throw new DataFormatException($"'{Describe(file)}' is truncated.");
        }

        return bytes;
    }

    public void Dispose() => _handle.Dispose();

    private void List(CancellationToken cancellationToken)
    {
        // The stream borrows the handle: its own copy keeps the reader from closing it.
        using var stream = new FileStream(new SafeFileHandle(_handle.DangerousGetHandle(), ownsHandle: false), FileAccess.Read);
        using var reader = new TarReader(stream, leaveOpen: true);
        while (reader.GetNextEntry() is { } entry)
        {
            cancellationToken.ThrowIfCancellationRequested();
            switch (entry.EntryType)
            {
                case TarEntryType.Directory:
                    _paths.AddFolder(entry.Name);
                    break;
                case TarEntryType.RegularFile or TarEntryType.V7RegularFile or TarEntryType.ContiguousFile:
                    if (_paths.AddFile(entry.Name))
                    {
                        _places.Add((entry.DataOffset, entry.Length));
                    }

                    break;
                case TarEntryType.GlobalExtendedAttributes:
                    break;
                default:
                    throw new DataFormatException(
                        $"'{_path}' holds '{entry.Name}', which is a {entry.EntryType} and no file; archives with links or devices are refused. "
                        + $"Pack it again, with tar --dereference.");
            }
        }
    }

    private static SafeFileHandle Unpack(string path, CancellationToken cancellationToken)
    {
        using var source = new GZipStream(File.OpenRead(path), CompressionMode.Decompress);
        var limit = Math.Max(AlwaysAllowed, MaxInflation * new FileInfo(path).Length);
        var temporary = Path.Combine(Path.GetTempPath(), $"nextpatch-{Path.GetRandomFileName()}.tar");
        var handle = File.OpenHandle(temporary, FileMode.CreateNew, FileAccess.ReadWrite, FileShare.None, FileOptions.DeleteOnClose);
        try
        {
            var buffer = new byte[1 << 20];
            for (var written = 0L; ;)
            {
                cancellationToken.ThrowIfCancellationRequested();
                var got = CompressedFile.ReadUpTo(source, buffer, path);
                if (got == 0)
                {
                    return handle;
                }

                RandomAccess.Write(handle, buffer.AsSpan(0, got), written);
                written += got;
                if (written > limit)
                {
                    throw new DataFormatException(
                        $"'{path}' unpacks to more than {MaxInflation} times its size; it is refused. Unpack it by hand if it is sound.");
                }
            }
        }
        catch
        {
            handle.Dispose();
            throw;
        }
    }
}
