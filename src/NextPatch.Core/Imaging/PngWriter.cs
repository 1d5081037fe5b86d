using System.Buffers.Binary;
using System.IO.Compression;
using System.IO.Hashing;
using System.Text;

namespace NextPatch.Core.Imaging;

/// <summary>Writes 8-bit RGB PNG files with text metadata. Base class library only, so that every engine can save what it generates.</summary>
/// <remarks>Every row uses the Up filter: on enlarged sample grids most rows then become zeros, and on photographs it costs a few
/// percent against choosing a filter per row.</remarks>
public static class PngWriter
{
    private const byte UpFilter = 2;

    /// <summary>Writes one image; the stream stays open.</summary>
    /// <param name="destination">Where the file goes.</param>
    /// <param name="image">Written with eight bits a channel, without alpha.</param>
    /// <param name="text">Metadata: keys of 1 to 79 printable ASCII characters, any values without NUL. ASCII values become tEXt chunks, others
    /// iTXt.</param>
    /// <exception cref="ArgumentException">A key or value cannot be stored in a PNG file.</exception>
    public static void Write(Stream destination, RgbImage image, IReadOnlyDictionary<string, string>? text = null)
    {
        destination.Write(PngChunk.Signature);
        Span<byte> header = stackalloc byte[13];
        BinaryPrimitives.WriteInt32BigEndian(header, image.Width);
        BinaryPrimitives.WriteInt32BigEndian(header[4..], image.Height);
        header[8] = 8;      // bits per channel
        header[9] = 2;      // RGB
        header[10..].Clear(); // deflate, adaptive filters, not interlaced
        PngChunk.Write(destination, "IHDR"u8, header);
        foreach (var (key, value) in text ?? new Dictionary<string, string>())
        {
            WriteText(destination, key, value);
        }

        PngChunk.Write(destination, "IDAT"u8, CompressRows(image));
        PngChunk.Write(destination, "IEND"u8, []);
    }

    /// <summary>The bytes of a PNG file.</summary>
    /// <inheritdoc cref="Write"/>
    public static byte[] Encode(RgbImage image, IReadOnlyDictionary<string, string>? text = null)
    {
        using var buffer = new MemoryStream();
        Write(buffer, image, text);
        return buffer.ToArray();
    }

    private static byte[] CompressRows(RgbImage image)
    {
        using var buffer = new MemoryStream();
        using (var zlib = new ZLibStream(buffer, CompressionLevel.Optimal, leaveOpen: true))
        {
            var stride = image.Width * 3;
            var filtered = new byte[stride + 1];
            filtered[0] = UpFilter;
            for (var y = 0; y < image.Height; y++)
            {
                var row = image.Pixels.AsSpan(y * stride, stride);
                row.CopyTo(filtered.AsSpan(1));
                if (y > 0)
                {
                    var above = image.Pixels.AsSpan((y - 1) * stride, stride);
                    for (var i = 0; i < stride; i++)
                    {
                        filtered[i + 1] -= above[i];
                    }
                }

                zlib.Write(filtered);
            }
        }

        return buffer.ToArray();
    }

    private static void WriteText(Stream destination, string key, string value)
    {
        if (key.Length is 0 or > 79 || key.Any(c => c is < ' ' or > '~'))
        {
            throw new ArgumentException($"'{key}' cannot be a PNG text key: it needs 1 to 79 printable ASCII characters.", nameof(key));
        }

        if (value.Contains('\0'))
        {
            throw new ArgumentException($"The value of PNG text '{key}' contains a NUL character.", nameof(value));
        }

        if (Ascii.IsValid(value))
        {
            PngChunk.Write(destination, "tEXt"u8, Encoding.ASCII.GetBytes($"{key}\0{value}"));
        }
        else
        {
            // After the key: compression flag and method, empty language tag, empty translated key.
            PngChunk.Write(destination, "iTXt"u8, Encoding.UTF8.GetBytes($"{key}\0\0\0\0\0{value}"));
        }
    }
}

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
