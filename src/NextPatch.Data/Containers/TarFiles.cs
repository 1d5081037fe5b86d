using System.Formats.Tar;
using Microsoft.Win32.SafeHandles;
using NextPatch.Core;
using NextPatch.Core.Files;
using NextPatch.Core.Tensors;
using NextPatch.Data.Imaging;

namespace NextPatch.Data.Containers;

/// <summary>
/// The files of a tar archive, read in place. A gzipped one is unpacked to a temporary file first, because it cannot be read out of order.
/// </summary>
internal sealed class TarFiles : IFileSet
{
    private readonly string _path;
    private readonly SafeFileHandle _handle;
    private readonly ArchivePaths _paths;
    private readonly List<(long Offset, long Length)> _places = [];

    private TarFiles(string path, SafeFileHandle handle) => (_path, _handle, _paths) = (path, handle, new ArchivePaths(path));

    public IReadOnlyList<string> Paths => _paths.Files;

    public IReadOnlyCollection<string> Folders => _paths.Folders;

    public IReadOnlyList<string> PassedOver => _paths.PassedOver;

    /// <exception cref="DataFormatException">Damaged, or it holds a link or a name that leads out of it.</exception>
    public static TarFiles Open(string path, CancellationToken cancellationToken)
    {
        var isCompressed = FileContents.From(path) == FileContent.Gzip;
        var handle = isCompressed ? Unpack(path, cancellationToken) : File.OpenHandle(path, options: FileOptions.RandomAccess);
        var files = new TarFiles(path, handle);
        try
        {
            TarHeaders.Check(handle, path, cancellationToken);
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
                case TarEntryType.RegularFile or TarEntryType.V7RegularFile or TarEntryType.ContiguousFile when IsSparse(entry):
                    throw new DataFormatException(
                        $"'{_path}' holds {StoredFile.Quote(entry.Name)}, of which only parts are stored (a sparse file), which is not read. Pack it "
                        + $"again, without --sparse.");
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
                        $"'{_path}' holds {StoredFile.Quote(entry.Name)}, which is a {entry.EntryType} and no file; archives with links or devices "
                            + $"are refused. "
                        + $"Pack it again, with tar --dereference.");
            }
        }
    }

    /// <summary>The extended headers by which GNU tar keeps the holes of a file out of the archive, in its formats 0.0 to 1.0.</summary>
    private static bool IsSparse(TarEntry entry)
        => entry is PaxTarEntry pax && pax.ExtendedAttributes.Keys.Any(key => key.StartsWith("GNU.sparse.", StringComparison.Ordinal));

    private static SafeFileHandle Unpack(string path, CancellationToken cancellationToken)
    {
        using var source = CompressedFile.Open(path);
        var temporary = Path.Combine(Path.GetTempPath(), $"nextpatch-{Path.GetRandomFileName()}.tar");
        var handle = File.OpenHandle(temporary, FileMode.CreateNew, FileAccess.ReadWrite, FileShare.None, FileOptions.DeleteOnClose);
        try
        {
            if (!OperatingSystem.IsWindows())
            {
                File.Delete(temporary); // without a name it ends with the process, however that ends; Windows does so with its own
            }

            var buffer = new byte[1 << 20];
            for (var written = 0L; ;)
            {
                cancellationToken.ThrowIfCancellationRequested();
                var got = CompressedFile.ReadUpTo(source, buffer, path, written);
                if (got == 0)
                {
                    return handle;
                }

                RandomAccess.Write(handle, buffer.AsSpan(0, got), written);
                written += got;
            }
        }
        catch
        {
            handle.Dispose();
            throw;
        }
    }
}
