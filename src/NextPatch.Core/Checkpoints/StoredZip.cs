using System.IO.Compression;

namespace NextPatch.Core.Checkpoints;

/// <summary>A zip archive from an untrusted source: what it makes us read is bounded by what the file really holds.</summary>
internal sealed class StoredZip : IDisposable
{
    // Deflate cannot shrink data further than 1032:1.
    private const long MaxDeflateRatio = 1032;

    private readonly FileStream _stream;
    private readonly ZipArchive _archive;
    private readonly Dictionary<string, ZipArchiveEntry> _members = [];
    private readonly string _path;
    private long _unreadBytes;

    /// <exception cref="DataFormatException">Not a zip archive, or a damaged one.</exception>
    public StoredZip(string path)
    {
        _path = path;
        _stream = StoredFile.OpenRead(path);
        try
        {
            _unreadBytes = _stream.Length;
            _archive = Guard(() => new ZipArchive(_stream, ZipArchiveMode.Read));
            foreach (var entry in Guard(() => _archive.Entries))
            {
                if (!_members.TryAdd(entry.FullName, entry))
                {
                    throw new DataFormatException($"'{path}' holds two members named {StoredFile.Quote(entry.FullName)}; the archive is damaged.");
                }
            }
        }
        catch
        {
            _archive?.Dispose();
            _stream.Dispose();
            throw;
        }
    }

    /// <summary>Member names in archive order.</summary>
    public IReadOnlyCollection<string> Names => _members.Keys;

    public bool Contains(string member) => _members.ContainsKey(member);

    public long LengthOf(string member) => Find(member).Length;

    public bool IsCompressed(string member) => Find(member) is var entry && entry.CompressedLength != entry.Length;

    /// <summary>Reads the beginning of a member.</summary>
    public T Peek<T>(string member, Func<Stream, T> read) => Guard(() =>
    {
        using var stream = Find(member).Open();
        return read(stream);
    });

    /// <summary>Reads one member whole and checks its checksum.</summary>
    /// <param name="member">Its name.</param>
    /// <param name="maxBytes">Refuse a member that is longer.</param>
    public byte[] Read(string member, long maxBytes)
    {
        var entry = Find(member);
        var shown = $"{_path}: {member}";
        if (entry.Length > Math.Min(maxBytes, Array.MaxLength) || entry.Length > (entry.CompressedLength * MaxDeflateRatio) + MaxDeflateRatio)
        {
            throw new DataFormatException($"'{shown}' declares {entry.Length} bytes from {entry.CompressedLength} stored ones; at most {maxBytes} are plausible here.");
        }

        // Members that share stored bytes would let a small file ask for much memory.
        _unreadBytes -= entry.CompressedLength;
        if (_unreadBytes < 0)
        {
            throw new DataFormatException($"'{_path}' has overlapping or oversized members; the archive is damaged.");
        }

        var bytes = Guard(() =>
        {
            using var stream = entry.Open();
            var content = new byte[entry.Length];
            stream.ReadExactly(content);
            return stream.ReadByte() < 0 ? content : throw new InvalidDataException("a member is longer than declared");
        });
        return Crc32.Compute(bytes) == entry.Crc32
            ? bytes
            : throw new DataFormatException($"'{shown}' does not match its checksum; the file is damaged, fetch or write it again.");
    }

    public void Dispose()
    {
        _archive.Dispose();
        _stream.Dispose();
    }

    private ZipArchiveEntry Find(string member) => _members.TryGetValue(member, out var entry)
        ? entry
        : throw new DataFormatException($"'{_path}' has no member {StoredFile.Quote(member)}; the archive is damaged or not what its name says.");

    /// <summary>Damaged archives surface in the platform's zip reader as several exception types.</summary>
    private T Guard<T>(Func<T> action)
    {
        try
        {
            return action();
        }
        catch (Exception e) when (e is InvalidDataException or IOException or ArgumentException or OverflowException or NotSupportedException or InvalidOperationException)
        {
            throw new DataFormatException($"'{_path}' is not a readable zip archive ({e.Message}); fetch or write it again.", e);
        }
    }
}
