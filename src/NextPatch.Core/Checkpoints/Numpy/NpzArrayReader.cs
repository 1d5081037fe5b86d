using System.IO.Compression;
using System.IO.Hashing;
using NextPatch.Core.Checkpoints.Zip;
using NextPatch.Core.Files;
using NextPatch.Core.Tensors;

namespace NextPatch.Core.Checkpoints.Numpy;

/// <summary>One array of a NumPy archive, read once from its first element to its last, in memory that does not grow with it.</summary>
/// <remarks>
/// Deflated arrays are inflated as they are read, and the checksum is compared behind the last element, so damage may show only there.
/// Fortran-ordered and big-endian arrays are held whole. <see cref="NpzFile.Open"/> reads at any place instead, and holds deflated arrays whole.
/// </remarks>
internal sealed class NpzArrayReader : IDisposable
{
    private readonly string _shown;
    private readonly StoredZip _zip;
    private readonly ZipMember _member;
    private readonly Stream _content;
    private readonly Crc32 _checksum = new();
    private readonly HostTensor? _turned;
    private long _left;

    /// <param name="path">The archive.</param>
    /// <param name="name">Name of the array, without ".npy".</param>
    /// <exception cref="DataFormatException">The archive or the array's header is damaged, or there is no such array.</exception>
    public NpzArrayReader(string path, string name)
    {
        _zip = new StoredZip(path);
        try
        {
            _member = _zip.Find(_zip.Contains(name) ? name : name + ".npy");
            _shown = $"{path}: {_member.Name}";
            var stored = new MemberStream(_zip.File, _zip.OffsetOf(_member), _member.StoredLength);
            _content = _member.IsDeflated ? new DeflateStream(stored, CompressionMode.Decompress) : stored;
            Header = Guarded(() => NpyFile.ReadHeader(new Checked(this), _shown));
            if (Header.DataOffset + Header.ByteCount != _member.Length)
            {
                throw new DataFormatException(
                    $"'{_shown}' has {_member.Length} bytes but its shape {HostTensor.Describe(Header.Shape)} needs "
                    + $"{Header.DataOffset + Header.ByteCount}; the file is damaged.");
            }

            if (Header.Strides is not null || (Header.BigEndian && Header.Type.Size() > 1))
            {
                _turned = Header.Decode(_zip.Read(_member.Name, _member.Length).AsMemory(Header.DataOffset));
            }

            _left = Header.ByteCount;
        }
        catch
        {
            Dispose();
            throw;
        }
    }

    /// <summary>Shape and element type.</summary>
    public NpyHeader Header { get; }

    /// <summary>The next elements, little-endian.</summary>
    /// <param name="destination">Filled whole; not longer than what is left.</param>
    /// <exception cref="DataFormatException">The elements are damaged.</exception>
    public void Read(Span<byte> destination)
    {
        ArgumentOutOfRangeException.ThrowIfGreaterThan(destination.Length, _left, nameof(destination));
        if (_turned is not null)
        {
            _turned.Bytes.Span.Slice((int)(Header.ByteCount - _left), destination.Length).CopyTo(destination);
            _left -= destination.Length;
            return;
        }

        try
        {
            _content.ReadExactly(destination);
        }
        catch (Exception e) when (e is InvalidDataException or IOException)
        {
            throw Unreadable(e);
        }

        _checksum.Append(destination);
        _left -= destination.Length;
        if (_left == 0 && _checksum.GetCurrentHashAsUInt32() != _member.Checksum)
        {
            throw new DataFormatException($"'{_shown}' does not match its checksum; the file is damaged, fetch or write it again.");
        }
    }

    public void Dispose()
    {
        _content?.Dispose(); // null when the constructor failed early
        _zip.Dispose();
    }

    private T Guarded<T>(Func<T> read)
    {
        try
        {
            return read();
        }
        catch (Exception e) when (e is InvalidDataException or IOException)
        {
            throw Unreadable(e);
        }
    }

    private DataFormatException Unreadable(Exception e) => new($"'{_shown}' cannot be read ({e.Message}); fetch or write the file again.", e);

    /// <summary>The content for the reader of the header, whose bytes belong to the checksum.</summary>
    private sealed class Checked(NpzArrayReader reader) : ForwardStream
    {
        public override int Read(Span<byte> buffer)
        {
            var read = reader._content.Read(buffer);
            reader._checksum.Append(buffer[..read]);
            return read;
        }
    }

    /// <summary>The stored bytes of a member, read and not mapped: pages of a mapping would count as this process's memory.</summary>
    private sealed class MemberStream(MappedFile file, long offset, long left) : ForwardStream
    {
        public override int Read(Span<byte> buffer)
        {
            var part = buffer[..(int)Math.Min(buffer.Length, left)];
            file.Read(offset, part);
            (offset, left) = (offset + part.Length, left - part.Length);
            return part.Length;
        }
    }
}
