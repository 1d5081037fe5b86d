using System.Buffers.Binary;
using System.Collections.Concurrent;
using System.IO.Compression;
using System.IO.Hashing;
using NextPatch.Core.Tensors;

namespace NextPatch.Core.Checkpoints.Zip;

/// <summary>A memory-mapped zip archive from an untrusted source: what it makes us read is bounded by what the file really holds.</summary>
internal sealed class StoredZip : IDisposable
{
    private const int VerifiedPart = 1 << 18;

    private readonly MappedFile _file;
    private readonly Dictionary<string, ZipMember> _members;
    private readonly ConcurrentDictionary<string, uint> _verified = [];

    /// <exception cref="DataFormatException">Not a zip archive, or a damaged one.</exception>
    public StoredZip(string path)
    {
        _file = new MappedFile(path);
        try
        {
            _members = ZipDirectory.Read(_file).ToDictionary(m => m.Name);
        }
        catch
        {
            _file.Dispose();
            throw;
        }
    }

    public MappedFile File => _file;

    /// <summary>Member names in archive order.</summary>
    public IReadOnlyCollection<string> Names => _members.Keys;

    public bool Contains(string member) => _members.ContainsKey(member);

    /// <exception cref="DataFormatException">There is no such member.</exception>
    public ZipMember Find(string member) => _members.TryGetValue(member, out var found)
        ? found
        : throw new DataFormatException(
            $"'{_file.Path}' has no member {StoredFile.Quote(member)}; the archive is damaged or not what its name says.");

    /// <summary>Where the bytes of a member lie in the file.</summary>
    /// <exception cref="DataFormatException">Its local header is damaged.</exception>
    public long OffsetOf(ZipMember member)
    {
        Span<byte> header = stackalloc byte[ZipDirectory.LocalHeaderBytes];
        _file.Read(member.HeaderOffset, header);
        var start = member.HeaderOffset + ZipDirectory.LocalHeaderBytes + BinaryPrimitives.ReadUInt16LittleEndian(header[26..]) + BinaryPrimitives
            .ReadUInt16LittleEndian(header[28..]);
        return BinaryPrimitives.ReadUInt32LittleEndian(header) == ZipDirectory.LocalHeader && start <= member.Limit - member.StoredLength
            ? start
            : throw new DataFormatException($"'{_file.Path}: {member.Name}' has a damaged header; fetch or write the file again.");
    }

    /// <summary>Reads the beginning of a member.</summary>
    public T Peek<T>(string member, Func<Stream, T> read) => Guard(member, read);

    /// <summary>Reads one member whole and checks its checksum.</summary>
    /// <param name="member">Its name.</param>
    /// <param name="maxBytes">Refuse a member that is longer.</param>
    public byte[] Read(string member, long maxBytes)
    {
        var entry = Find(member);
        if (entry.Length > Math.Min(maxBytes, Array.MaxLength))
        {
            throw new DataFormatException($"'{_file.Path}: {member}' declares {entry.Length} bytes; at most {maxBytes} are plausible here.");
        }

        var bytes = Guard(member, stream =>
        {
            var content = new byte[entry.Length];
            stream.ReadExactly(content);
            return stream.ReadByte() < 0 ? content : throw new InvalidDataException("it is longer than declared");
        });
        return Crc32.HashToUInt32(bytes) == entry.Checksum ? bytes : throw Damaged(member);
    }

    /// <summary>Whether the bytes of a member are known to have its checksum.</summary>
    public bool IsVerified(ZipMember member) => _verified.ContainsKey(member.Name);

    /// <summary>Checks a stored member against its checksum; the first time, which reads it whole.</summary>
    /// <exception cref="DataFormatException">It is damaged.</exception>
    public void Verify(ZipMember member)
    {
        if (IsVerified(member))
        {
            return;
        }

        var crc = new Crc32();
        var start = OffsetOf(member);
        var buffer = new byte[(int)Math.Min(VerifiedPart, member.StoredLength)];
        for (var at = 0L; at < member.StoredLength; at += VerifiedPart)
        {
            var part = buffer.AsSpan(0, (int)Math.Min(VerifiedPart, member.StoredLength - at));
            _file.Read(start + at, part);
            crc.Append(part);
        }

        Accept(member, crc.GetCurrentHashAsUInt32());
    }

    /// <summary>Takes note of the checksum that all bytes of a member have.</summary>
    /// <exception cref="DataFormatException">It is not the member's.</exception>
    public void Accept(ZipMember member, uint checksum)
        => _verified[member.Name] = checksum == member.Checksum ? checksum : throw Damaged(member.Name);

    public void Dispose() => _file.Dispose();

    /// <summary>Damaged data surface in the platform's inflater as several exception types.</summary>
    private T Guard<T>(string name, Func<Stream, T> read)
    {
        var member = Find(name);
        using var stored = _file.OpenStream(OffsetOf(member), member.StoredLength);
        using var content = member.IsDeflated ? new DeflateStream(stored, CompressionMode.Decompress) : stored;
        try
        {
            return read(content);
        }
        catch (Exception e) when (e is InvalidDataException or IOException)
        {
            throw new DataFormatException($"'{_file.Path}: {name}' cannot be read ({e.Message}); fetch or write the file again.", e);
        }
    }

    private DataFormatException Damaged(string member)
        => new($"'{_file.Path}: {member}' does not match its checksum; the file is damaged, fetch or write it again.");
}
