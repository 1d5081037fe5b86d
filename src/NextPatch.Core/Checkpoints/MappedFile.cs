using System.Buffers;
using System.IO.MemoryMappedFiles;

namespace NextPatch.Core.Checkpoints;

/// <summary>A file seen as memory, read only: what is not looked at is not read. As memory it shows its first 2 GiB.</summary>
/// <remarks>Somebody who shortens the file while it is mapped ends the process; writers here replace files instead (<see cref="StoredFile.Replace"/>).</remarks>
internal sealed unsafe class MappedFile : MemoryManager<byte>
{
    private readonly FileStream _stream;
    private readonly MemoryMappedFile? _map;
    private readonly MemoryMappedViewAccessor? _view;
    private readonly byte* _start;
    private bool _isDisposed;

    /// <exception cref="NextPatchException">The file is missing or unreadable.</exception>
    public MappedFile(string path)
    {
        Path = path;
        _stream = StoredFile.OpenRead(path);
        try
        {
            Length = _stream.Length;
            if (Length == 0)
            {
                return; // an empty mapping is impossible
            }

            _map = MemoryMappedFile.CreateFromFile(_stream, null, 0, MemoryMappedFileAccess.Read, HandleInheritability.None, leaveOpen: true);
            _view = _map.CreateViewAccessor(0, 0, MemoryMappedFileAccess.Read);
            _view.SafeMemoryMappedViewHandle.AcquirePointer(ref _start);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException or NotSupportedException)
        {
            _view?.Dispose();
            _map?.Dispose();
            _stream.Dispose();
            throw new NextPatchException($"File '{path}' cannot be opened for reading: {e.Message}", e);
        }
    }

    public string Path { get; }

    public long Length { get; }

    /// <summary>Bytes of the file in place. The span must not outlive this object.</summary>
    /// <exception cref="DataFormatException">The range lies outside the file.</exception>
    public ReadOnlySpan<byte> Span(long offset, int length)
    {
        ObjectDisposedException.ThrowIf(_isDisposed, this);
        return offset >= 0 && length >= 0 && offset <= Length - length
            ? new ReadOnlySpan<byte>(_start + offset, length)
            : throw new DataFormatException($"'{Path}' is truncated: {length} bytes are needed at byte {offset} but the file has {Length}; fetch or write it again.");
    }

    /// <summary>Copies bytes of the file. For a whole large file this is several times faster than to walk its mapping, page by page.</summary>
    /// <exception cref="DataFormatException">The range lies outside the file.</exception>
    public void Read(long offset, Span<byte> destination)
    {
        ObjectDisposedException.ThrowIf(_isDisposed, this);
        while (!destination.IsEmpty)
        {
            var read = offset < 0 ? 0 : RandomAccess.Read(_stream.SafeFileHandle, destination, offset);
            if (read == 0)
            {
                throw new DataFormatException($"'{Path}' is truncated: {destination.Length} bytes are needed at byte {offset} but the file has {Length}; fetch or write it again.");
            }

            offset += read;
            destination = destination[read..];
        }
    }

    /// <summary>A part of the file as a stream.</summary>
    /// <exception cref="DataFormatException">The range lies outside the file.</exception>
    public Stream OpenStream(long offset, long length)
    {
        ObjectDisposedException.ThrowIf(_isDisposed, this);
        return offset < 0 || length < 0 || offset > Length - length
            ? throw new DataFormatException($"'{Path}' is truncated: {length} bytes are needed at byte {offset} but the file has {Length}; fetch or write it again.")
            : length == 0 ? Stream.Null : new UnmanagedMemoryStream(_view!.SafeMemoryMappedViewHandle, offset, length);
    }

    public override Span<byte> GetSpan()
    {
        ObjectDisposedException.ThrowIf(_isDisposed, this);
        return new Span<byte>(_start, (int)Math.Min(Length, int.MaxValue));
    }

    public override MemoryHandle Pin(int elementIndex = 0) => new(_start + elementIndex);

    public override void Unpin()
    {
    }

    protected override void Dispose(bool disposing)
    {
        if (_isDisposed)
        {
            return;
        }

        _isDisposed = true;
        _stream.Dispose();
        if (_view is not null)
        {
            _view.SafeMemoryMappedViewHandle.ReleasePointer();
            _view.Dispose();
            _map!.Dispose();
        }
    }
}
