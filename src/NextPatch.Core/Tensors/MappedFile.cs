using System.IO.MemoryMappedFiles;
using System.Runtime.InteropServices;
using Microsoft.Win32.SafeHandles;

namespace NextPatch.Core.Tensors;

/// <summary>A file seen as memory or read by calls, read only: what is not looked at is not read.</summary>
/// <remarks>
/// Headers and directories are read by calls and without reading ahead: a page fault in the mapping makes the system read megabytes
/// around it. Somebody who shortens the file while it is mapped ends the process; writers here replace files
/// instead (<see cref="StoredFile.Replace"/>).
/// </remarks>
internal sealed unsafe partial class MappedFile : IDisposable
{
    // Less is a header. Of the tensors themselves the system should read ahead, which doubles the speed of a disk.
    private const int PartOfTensor = 1 << 17;
    private const int AdviseNormal = 0;

    private readonly FileStream _stream;
    private readonly MemoryMappedFile? _map;
    private readonly MemoryMappedViewAccessor? _view;
    private readonly byte* _start;
    private bool _readsAhead;
    private bool _isDisposed;
    private int _users = 1;

    /// <exception cref="NextPatchException">The file is missing or unreadable.</exception>
    public MappedFile(string path)
    {
        Path = path;
        _stream = StoredFile.OpenRead(path, FileOptions.RandomAccess);
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
            : throw Truncated(offset, length);
    }

    /// <summary>Bytes of the file in place, for longer than this object lives.</summary>
    /// <exception cref="DataFormatException">The range lies outside the file.</exception>
    public HeldBytes Hold(long offset, long length)
    {
        ObjectDisposedException.ThrowIf(_isDisposed, this);
        if (offset < 0 || length < 0 || offset > Length - length)
        {
            throw Truncated(offset, length);
        }

        Interlocked.Increment(ref _users);
        return new HeldBytes(_start + offset, Release);
    }

    /// <summary>Copies bytes of the file. For a whole large file this is several times faster than to walk its mapping, page by page.</summary>
    /// <exception cref="DataFormatException">The range lies outside the file.</exception>
    public void Read(long offset, Span<byte> destination)
    {
        ObjectDisposedException.ThrowIf(_isDisposed, this);
        if (!_readsAhead && destination.Length >= PartOfTensor && OperatingSystem.IsLinux() && Environment.Is64BitProcess)
        {
            _ = Advise(_stream.SafeFileHandle, 0, 0, AdviseNormal);
            _readsAhead = true;
        }

        while (!destination.IsEmpty)
        {
            var read = offset < 0 ? 0 : RandomAccess.Read(_stream.SafeFileHandle, destination, offset);
            if (read == 0)
            {
                throw Truncated(offset, destination.Length);
            }

            offset += read;
            destination = destination[read..];
        }
    }

    /// <summary>Copies bytes of the file into an array of their own, made only where the file is long enough.</summary>
    /// <exception cref="DataFormatException">The range lies outside the file.</exception>
    public byte[] Read(long offset, int length)
    {
        var bytes = offset >= 0 && length >= 0 && offset <= Length - length ? new byte[length] : throw Truncated(offset, length);
        Read(offset, bytes);
        return bytes;
    }

    /// <summary>A part of the file as a stream; it reads by calls.</summary>
    /// <exception cref="DataFormatException">The range lies outside the file.</exception>
    public Stream OpenStream(long offset, long length)
    {
        ObjectDisposedException.ThrowIf(_isDisposed, this);
        return offset >= 0 && length >= 0 && offset <= Length - length ? new FilePartStream(this, offset, length) : throw Truncated(offset, length);
    }

    public void Dispose()
    {
        if (_isDisposed)
        {
            return;
        }

        _isDisposed = true;
        Release();
    }

    private void Release()
    {
        if (Interlocked.Decrement(ref _users) > 0)
        {
            return;
        }

        _stream.Dispose();
        if (_view is not null)
        {
            _view.SafeMemoryMappedViewHandle.ReleasePointer();
            _view.Dispose();
            _map!.Dispose();
        }
    }

    [LibraryImport("libc", EntryPoint = "posix_fadvise")]
    private static partial int Advise(SafeFileHandle file, long offset, long length, int advice);

    private DataFormatException Truncated(long offset, long length)
        => new($"'{Path}' is truncated: {length} bytes are needed at byte {offset} but the file has {Length}; fetch or write it again.");
}

/// <summary>Bytes of a mapped file, which stay where they are until this is disposed, whoever closes the file meanwhile.</summary>
/// <param name="start">The first of them.</param>
/// <param name="release">Lets the file go.</param>
internal sealed unsafe class HeldBytes(byte* start, Action release) : IDisposable
{
    private Action? _release = release;

    public byte* Start => start;

    public void Dispose() => Interlocked.Exchange(ref _release, null)?.Invoke();
}

/// <summary>A tensor of a mapped file that may have been closed.</summary>
/// <param name="bytes">Its elements; stay the caller's.</param>
/// <param name="type">Their type.</param>
/// <param name="shape">Extents, outermost first.</param>
/// <param name="key">Its name, and</param>
/// <param name="file">the file's, for messages.</param>
internal sealed unsafe class HeldTensor(HeldBytes bytes, ElementType type, IReadOnlyList<long> shape, string key, string file)
    : StoredTensor(type, shape)
{
    /// <exception cref="DataFormatException">An element is infinite or no number.</exception>
    public override void CopyTo(long offset, Span<byte> destination)
    {
        ArgumentOutOfRangeException.ThrowIfGreaterThan(offset, ByteCount - destination.Length);
        new ReadOnlySpan<byte>(bytes.Start + offset, destination.Length).CopyTo(destination);
        FiniteNumbers.Require(key, Type, destination, file, offset / Type.Size());
    }
}
