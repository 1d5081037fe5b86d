using System.Buffers.Binary;
using System.IO.Hashing;

namespace NextPatch.Core.Imaging;

/// <summary>The frame of a PNG chunk: length of the data, then type and data, then the CRC-32 of both (PNG specification, section 5).</summary>
internal static class PngChunk
{
    public static ReadOnlySpan<byte> Signature => [0x89, (byte)'P', (byte)'N', (byte)'G', 0x0D, 0x0A, 0x1A, 0x0A];

    public static void Write(Stream destination, ReadOnlySpan<byte> type, ReadOnlySpan<byte> data)
    {
        byte[] body = [.. type, .. data];
        Span<byte> number = stackalloc byte[4];
        BinaryPrimitives.WriteInt32BigEndian(number, data.Length);
        destination.Write(number);
        destination.Write(body);
        BinaryPrimitives.WriteUInt32BigEndian(number, Crc32.HashToUInt32(body));
        destination.Write(number);
    }
}
