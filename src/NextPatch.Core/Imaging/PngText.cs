using System.Buffers.Binary;
using System.IO.Hashing;
using System.Text;

namespace NextPatch.Core.Imaging;

/// <summary>Reads the text metadata of PNG files.</summary>
internal static class PngText
{
    private const int LongestText = 16 << 20;

    /// <summary>Lists the tEXt and iTXt chunks of a PNG file up to its end chunk, in the file's order of first appearance.</summary>
    /// <param name="source">A stream at the beginning of the file; it stays open.</param>
    /// <exception cref="DataFormatException">Not a PNG file, truncated, or a text chunk is damaged.</exception>
    /// <remarks>Compressed text (zTXt, compressed iTXt) is passed over: nothing in NextPatch writes it.</remarks>
    public static IReadOnlyDictionary<string, string> Read(Stream source)
    {
        Span<byte> start = stackalloc byte[8];
        if (source.ReadAtLeast(start, 8, throwOnEndOfStream: false) < 8 || !start.SequenceEqual(PngChunk.Signature))
        {
            throw new DataFormatException("Not a PNG file: the first eight bytes are not the PNG signature.");
        }

        var texts = new OrderedDictionary<string, string>();
        try
        {
            while (ReadChunk(source, texts))
            {
            }
        }
        catch (EndOfStreamException e)
        {
            throw new DataFormatException("The PNG file is truncated: it ends before its IEND chunk.", e);
        }

        return texts;
    }

    /// <returns>False at the end chunk.</returns>
    private static bool ReadChunk(Stream source, OrderedDictionary<string, string> texts)
    {
        Span<byte> frame = stackalloc byte[8];
        source.ReadExactly(frame);
        var length = BinaryPrimitives.ReadUInt32BigEndian(frame);
        var type = frame[4..];
        if (type.SequenceEqual("IEND"u8))
        {
            return false;
        }

        var international = type.SequenceEqual("iTXt"u8);
        if (!international && !type.SequenceEqual("tEXt"u8))
        {
            Skip(source, length + 4L);
            return true;
        }

        if (length > LongestText)
        {
            throw new DataFormatException($"A PNG text chunk claims {length} bytes; at most {LongestText} are read.");
        }

        var body = new byte[4 + length];
        type.CopyTo(body);
        source.ReadExactly(body, 4, (int)length);
        source.ReadExactly(frame[..4]);
        if (BinaryPrimitives.ReadUInt32BigEndian(frame) != Crc32.HashToUInt32(body))
        {
            throw new DataFormatException("A PNG text chunk is damaged: its checksum does not match its content.");
        }

        Parse(body.AsSpan(4), international, texts);
        return true;
    }

    private static void Parse(ReadOnlySpan<byte> data, bool international, OrderedDictionary<string, string> texts)
    {
        var key = UntilNul(ref data);
        if (!international)
        {
            texts[key] = Encoding.Latin1.GetString(data);
            return;
        }

        if (data.Length < 2)
        {
            throw new DataFormatException($"PNG text '{key}' is damaged: its compression flags are missing.");
        }

        if (data[0] != 0)
        {
            return;
        }

        data = data[2..];
        UntilNul(ref data); // language
        UntilNul(ref data); // translated key
        texts[key] = Encoding.UTF8.GetString(data);
    }

    private static string UntilNul(ref ReadOnlySpan<byte> data)
    {
        var end = data.IndexOf((byte)0);
        if (end < 0)
        {
            throw new DataFormatException("A PNG text chunk is damaged: a zero byte that ends a field is missing.");
        }

        var field = Encoding.Latin1.GetString(data[..end]);
        data = data[(end + 1)..];
        return field;
    }

    private static void Skip(Stream source, long count)
    {
        var buffer = new byte[Math.Min(count, 1 << 16)];
        while (count > 0)
        {
            var part = (int)Math.Min(count, buffer.Length);
            source.ReadExactly(buffer, 0, part);
            count -= part;
        }
    }
}
