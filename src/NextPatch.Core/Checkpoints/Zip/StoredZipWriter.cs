using System.Buffers.Binary;
using System.IO.Hashing;
using System.Runtime.InteropServices;
using System.Text;
using NextPatch.Core.Tensors;

namespace NextPatch.Core.Checkpoints.Zip;

/// <summary>Writes an uncompressed zip archive whose members begin at multiples of 64 bytes, so that they can be memory-mapped.</summary>
/// <remarks>
/// The platform's writer cannot align. Padding is an extra field of the local header, as PyTorch writes it. No clock enters the
/// file. Zip64 records are written where lengths, offsets or counts need them.
/// Source: PKWARE APPNOTE.TXT 6.3, sections 4.3 to 4.5.
/// </remarks>
internal sealed class StoredZipWriter
{
    public const int Alignment = 64;

    private const int LocalHeaderBytes = 30;
    private const int ChecksumOffset = 14;
    private const int ExtraHeaderBytes = 4;
    private const ushort Utf8Names = 1 << 11;
    private const ushort FirstOfJanuary1980 = (1 << 5) | 1;
    private const ushort Zip64Version = 45;
    private const ushort PaddingField = 0x4246; // "FB", PyTorch's
    private const ushort Zip64Field = 1;

    private readonly Stream _stream;
    private readonly Crc32 _checksum = new();
    private readonly List<Member> _members = [];

    /// <param name="stream">Receives the archive; offsets are its positions. Must be seekable: checksums are filled in behind the members.</param>
    public StoredZipWriter(Stream stream) => _stream = stream;

    public void Add(string member, byte[] content)
    {
        Begin(member, content.Length);
        Write(content);
        End();
    }

    public void Add(string member, StoredTensor tensor)
    {
        Begin(member, tensor.ByteCount);
        tensor.WriteTo(Write);
        End();
    }

    /// <summary>Starts a member of known length; <see cref="Write"/> fills it and <see cref="End"/> closes it.</summary>
    public void Begin(string member, long length)
    {
        var name = Encoding.UTF8.GetBytes(member);
        var offset = _stream.Position;
        var isLarge = length >= uint.MaxValue;
        var zip64Bytes = isLarge ? ExtraHeaderBytes + (2 * sizeof(long)) : 0;
        var unpadded = offset + LocalHeaderBytes + name.Length + zip64Bytes + ExtraHeaderBytes;
        var padding = (int)((Alignment - (unpadded % Alignment)) % Alignment);
        var record = new ZipRecord(0x04034B50)
            .Short(isLarge ? Zip64Version : (ushort)20).Short(Utf8Names).Short(0).Short(0).Short(FirstOfJanuary1980)
            .Int(0).Length(length).Length(length)
            .Short((ushort)name.Length).Short((ushort)(zip64Bytes + ExtraHeaderBytes + padding)).Bytes(name);
        if (isLarge)
        {
            record.Short(Zip64Field).Short(2 * sizeof(long)).Long(length).Long(length);
        }

        record.Short(PaddingField).Short((ushort)padding).Bytes(Enumerable.Repeat((byte)'Z', padding));
        _stream.Write(record.ToSpan());
        _members.Add(new Member(name, 0, length, offset));
    }

    public void Write(ReadOnlySpan<byte> content)
    {
        _checksum.Append(content);
        _stream.Write(content);
    }

    /// <summary>Closes the member, of which <see cref="Write"/> was given all bytes.</summary>
    public void End()
    {
        var checksum = BinaryPrimitives.ReadUInt32LittleEndian(_checksum.GetHashAndReset());
        var end = _stream.Position;
        _members[^1] = _members[^1] with { Checksum = checksum };
        _stream.Position = _members[^1].Offset + ChecksumOffset;
        _stream.Write(BitConverter.GetBytes(checksum));
        _stream.Position = end;
    }

    /// <summary>Writes the directory. Nothing can be added afterwards.</summary>
    public void Finish()
    {
        var start = _stream.Position;
        foreach (var (name, checksum, length, offset) in _members)
        {
            List<long> wide = [.. length >= uint.MaxValue ? [length, length] : (long[])[], .. offset >= uint.MaxValue ? [offset] : (long[])[]];
            var version = wide.Count > 0 ? Zip64Version : (ushort)20;
            var record = new ZipRecord(0x02014B50)
                .Short(version).Short(version).Short(Utf8Names).Short(0).Short(0).Short(FirstOfJanuary1980)
                .Int(checksum).Length(length).Length(length)
                .Short((ushort)name.Length).Short((ushort)(wide.Count > 0 ? ExtraHeaderBytes + (wide.Count * sizeof(long)) : 0)).Short(0).Short(0)
                    .Short(0).Int(0)
                .Length(offset).Bytes(name);
            if (wide.Count > 0)
            {
                record.Short(Zip64Field).Short((ushort)(wide.Count * sizeof(long)));
                wide.ForEach(value => record.Long(value));
            }

            _stream.Write(record.ToSpan());
        }

        WriteEnd(start, _stream.Position - start);
    }

    private void WriteEnd(long start, long length)
    {
        var (position, count) = (_stream.Position, _members.Count);
        var isLarge = count >= ushort.MaxValue || start >= uint.MaxValue || length >= uint.MaxValue;
        if (isLarge)
        {
            _stream.Write(new ZipRecord(0x06064B50)
                .Long(44).Short(Zip64Version).Short(Zip64Version).Int(0).Int(0).Long(count).Long(count).Long(length).Long(start).ToSpan());
            _stream.Write(new ZipRecord(0x07064B50).Int(0).Long(position).Int(1).ToSpan());
        }

        var shownCount = isLarge ? ushort.MaxValue : (ushort)count;
        _stream.Write(new ZipRecord(0x06054B50)
            .Short(0).Short(0).Short(shownCount).Short(shownCount)
            .Int(isLarge ? uint.MaxValue : (uint)length).Int(isLarge ? uint.MaxValue : (uint)start).Short(0).ToSpan());
    }

    private sealed record Member(byte[] Name, uint Checksum, long Length, long Offset);

    /// <summary>The little-endian fields of one record.</summary>
    private sealed class ZipRecord
    {
        private readonly List<byte> _bytes = [];

        public ZipRecord(uint signature) => Int(signature);

        public ReadOnlySpan<byte> ToSpan() => CollectionsMarshal.AsSpan(_bytes);

        public ZipRecord Short(ushort value) => Bytes([(byte)value, (byte)(value >> 8)]);

        public ZipRecord Int(uint value)
        {
            var bytes = new byte[sizeof(uint)];
            BinaryPrimitives.WriteUInt32LittleEndian(bytes, value);
            return Bytes(bytes);
        }

        /// <summary>A 32-bit length or offset, or the sign that a 64-bit field has it.</summary>
        public ZipRecord Length(long value) => Int((uint)Math.Min(value, uint.MaxValue));

        public ZipRecord Long(long value)
        {
            var bytes = new byte[sizeof(long)];
            BinaryPrimitives.WriteInt64LittleEndian(bytes, value);
            return Bytes(bytes);
        }

        public ZipRecord Bytes(IEnumerable<byte> bytes)
        {
            _bytes.AddRange(bytes);
            return this;
        }
    }
}
