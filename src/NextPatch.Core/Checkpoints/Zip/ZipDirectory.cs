using System.Buffers.Binary;
using System.Text;
using NextPatch.Core.Files;
using NextPatch.Core.Tensors;

namespace NextPatch.Core.Checkpoints.Zip;

/// <summary>Reads the directory of a zip archive from an untrusted source, Zip64 included.</summary>
/// <remarks>
/// The platform's reader does not say where a member's bytes lie, which memory maps need. Members that overlap, links, encrypted
/// members and methods other than stored and deflate are refused. Source: PKWARE APPNOTE.TXT 6.3, sections 4.3 to 4.5.
/// </remarks>
internal sealed class ZipDirectory
{
    public const int LocalHeaderBytes = 30;
    public const uint LocalHeader = 0x04034B50;

    private const uint DirectoryHeader = 0x02014B50;
    private const uint End = 0x06054B50;
    private const uint Zip64Locator = 0x07064B50;
    private const uint Zip64End = 0x06064B50;
    private const int DirectoryHeaderBytes = 46;
    private const int EndBytes = 22;
    private const int Zip64LocatorBytes = 20;
    private const int Zip64EndBytes = 56;
    private const int MaxDirectoryBytes = 64 << 20; // half a million members
    private const int Zip64Field = 1;
    private const int LinkType = 0xA000;
    private const int TypeMask = 0xF000;

    // Deflate cannot shrink data further than 1032:1.
    private const long MaxDeflateRatio = 1032;

    private static readonly UTF8Encoding Utf8 = new(encoderShouldEmitUTF8Identifier: false, throwOnInvalidBytes: true);

    private readonly MappedFile _file;

    private ZipDirectory(MappedFile file) => _file = file;

    /// <summary>Members in archive order.</summary>
    /// <exception cref="DataFormatException">Not a zip archive, a damaged one, or one that holds something unexpected.</exception>
    public static IReadOnlyList<ZipMember> Read(MappedFile file) => new ZipDirectory(file).Read();

    private List<ZipMember> Read()
    {
        var (start, length, count) = FindDirectory();
        if (start < 0 || length < 0 || count < 0 || start > _file.Length - length || count > length / DirectoryHeaderBytes
            || length > MaxDirectoryBytes)
        {
            throw Bad($"its directory of {count} members at byte {start} does not fit the file of {_file.Length} bytes");
        }

        ReadOnlySpan<byte> directory = _file.Read(start, (int)length);
        var members = new List<ZipMember>((int)count);
        var names = new HashSet<string>();
        for (var i = 0L; i < count; i++)
        {
            var member = ReadMember(ref directory);
            members.Add(names.Add(member.Name) ? member : throw Bad($"it holds two members named {StoredFile.Quote(member.Name)}"));
        }

        return directory.IsEmpty ? WithLimits(members, start) : throw Bad("its directory is longer than its members");
    }

    private (long Start, long Length, long Count) FindDirectory()
    {
        // The end record is last but for a comment whose length it states.
        ReadOnlySpan<byte> tail = _file
            .Read(Math.Max(0, _file.Length - EndBytes - ushort.MaxValue), (int)Math.Min(_file.Length, EndBytes + ushort.MaxValue));
        for (var at = tail.Length - EndBytes; at >= 0; at--)
        {
            var end = tail[at..];
            if (BinaryPrimitives.ReadUInt32LittleEndian(end) == End && BinaryPrimitives.ReadUInt16LittleEndian(end[20..]) == end.Length - EndBytes)
            {
                var (disks, count) = (BinaryPrimitives.ReadUInt32LittleEndian(end[4..]), BinaryPrimitives.ReadUInt16LittleEndian(end[10..]));
                var (length, start) = (BinaryPrimitives.ReadUInt32LittleEndian(end[12..]), BinaryPrimitives.ReadUInt32LittleEndian(end[16..]));
                return count == ushort.MaxValue || length == uint.MaxValue || start == uint.MaxValue
                    ? FindZip64Directory(_file.Length - tail.Length + at)
                    : disks == 0 ? (start, length, count) : throw Bad("it is one part of several");
            }
        }

        throw Bad("it has no directory at its end");
    }

    private (long Start, long Length, long Count) FindZip64Directory(long endOffset)
    {
        var locator = Record(endOffset - Zip64LocatorBytes, Zip64LocatorBytes, Zip64Locator);
        var end = Record(BinaryPrimitives.ReadInt64LittleEndian(locator[8..]), Zip64EndBytes, Zip64End);
        return (BinaryPrimitives.ReadInt64LittleEndian(end[48..]), BinaryPrimitives.ReadInt64LittleEndian(end[40..]),
            BinaryPrimitives.ReadInt64LittleEndian(end[32..]));
    }

    private ReadOnlySpan<byte> Record(long offset, int length, uint signature)
        => offset >= 0 && offset <= _file.Length - length && _file.Read(offset, length) is var record
            && BinaryPrimitives.ReadUInt32LittleEndian(record) == signature
            ? record
            : throw Bad("its directory is damaged");

    private ZipMember ReadMember(ref ReadOnlySpan<byte> directory)
    {
        if (directory.Length < DirectoryHeaderBytes || BinaryPrimitives.ReadUInt32LittleEndian(directory) != DirectoryHeader)
        {
            throw Bad("its directory is damaged");
        }

        var header = directory[..DirectoryHeaderBytes];
        var (nameLength, extraLength) =
            (BinaryPrimitives.ReadUInt16LittleEndian(header[28..]), BinaryPrimitives.ReadUInt16LittleEndian(header[30..]));
        var total = DirectoryHeaderBytes + nameLength + extraLength + BinaryPrimitives.ReadUInt16LittleEndian(header[32..]);
        if (directory.Length < total)
        {
            throw Bad("its directory is damaged");
        }

        var name = Name(directory.Slice(DirectoryHeaderBytes, nameLength));
        var extra = directory.Slice(DirectoryHeaderBytes + nameLength, extraLength);
        directory = directory[total..];
        var (flags, method) = (BinaryPrimitives.ReadUInt16LittleEndian(header[8..]), BinaryPrimitives.ReadUInt16LittleEndian(header[10..]));
        if ((flags & 1) != 0 || method is not (0 or 8))
        {
            throw Bad($"the member {StoredFile.Quote(name)} is encrypted or compressed by method {method}; stored and deflated members are "
                + $"understood");
        }

        // The upper half of the attributes is a Unix mode, whichever system claims to have written it.
        if ((BinaryPrimitives.ReadUInt16LittleEndian(header[40..]) & TypeMask) == LinkType)
        {
            throw Bad($"the member {StoredFile.Quote(name)} is a link");
        }

        var (stored, length, offset) = Lengths(header, extra);
        return stored >= 0 && length >= 0 && (method == 8 ? length <= (stored * (Int128)MaxDeflateRatio) + MaxDeflateRatio : length == stored)
            ? new ZipMember(name, method == 8, BinaryPrimitives.ReadUInt32LittleEndian(header[16..]), stored, length, offset, 0)
            : throw Bad($"the member {StoredFile.Quote(name)} declares {length} bytes from {stored} stored ones, which is not plausible");
    }

    private static string Name(ReadOnlySpan<byte> bytes)
    {
        try
        {
            return Utf8.GetString(bytes);
        }
        catch (DecoderFallbackException)
        {
            return Encoding.Latin1.GetString(bytes);
        }
    }

    /// <summary>The three 64-bit fields replace those of the header that hold 0xFFFFFFFF, in this order.</summary>
    private static (long Stored, long Length, long Offset) Lengths(ReadOnlySpan<byte> header, ReadOnlySpan<byte> extra)
    {
        Span<long> values = [BinaryPrimitives.ReadUInt32LittleEndian(header[24..]), BinaryPrimitives.ReadUInt32LittleEndian(header[20..]),
            BinaryPrimitives.ReadUInt32LittleEndian(header[42..])];
        var wide = Field(extra, Zip64Field);
        foreach (ref var value in values)
        {
            if (value == uint.MaxValue && wide.Length >= sizeof(long))
            {
                value = BinaryPrimitives.ReadInt64LittleEndian(wide);
                wide = wide[sizeof(long)..];
            }
        }

        return (Stored: values[1], Length: values[0], Offset: values[2]);
    }

    private static ReadOnlySpan<byte> Field(ReadOnlySpan<byte> extra, int id)
    {
        while (extra.Length >= 4)
        {
            var (found, length) = (BinaryPrimitives.ReadUInt16LittleEndian(extra), BinaryPrimitives.ReadUInt16LittleEndian(extra[2..]));
            if (length > extra.Length - 4)
            {
                break;
            }

            if (found == id)
            {
                return extra.Slice(4, length);
            }

            extra = extra[(4 + length)..];
        }

        return default;
    }

    /// <summary>Members must lie one after the other: bytes used twice would let a small file ask for much memory.</summary>
    private List<ZipMember> WithLimits(List<ZipMember> members, long directoryStart)
    {
        var limits = new Dictionary<string, long>();
        var limit = directoryStart;
        foreach (var member in members.OrderByDescending(m => m.HeaderOffset))
        {
            if (member.HeaderOffset < 0 || member.HeaderOffset > limit - LocalHeaderBytes
                || member.StoredLength > limit - LocalHeaderBytes - member.HeaderOffset)
            {
                throw Bad($"the member {StoredFile.Quote(member.Name)} overlaps another or ends beyond byte {limit}");
            }

            limits[member.Name] = limit;
            limit = member.HeaderOffset;
        }

        return members.ConvertAll(member => member with { Limit = limits[member.Name] });
    }

    private DataFormatException Bad(string problem)
        => new($"'{_file.Path}' is not a readable zip archive: {problem}; fetch or write it again.{FileContents.Remark(_file.Path)}");
}

/// <summary>One member of a zip archive as the directory describes it.</summary>
/// <param name="Name">Its path in the archive.</param>
/// <param name="IsDeflated">Else stored as it is.</param>
/// <param name="Checksum">CRC-32 of the content.</param>
/// <param name="StoredLength">Bytes in the archive.</param>
/// <param name="Length">Bytes of the content.</param>
/// <param name="HeaderOffset">Where its local header lies.</param>
/// <param name="Limit">Where the next member or the directory begins: its bytes end before.</param>
internal sealed record ZipMember(string Name, bool IsDeflated, uint Checksum, long StoredLength, long Length, long HeaderOffset, long Limit);
