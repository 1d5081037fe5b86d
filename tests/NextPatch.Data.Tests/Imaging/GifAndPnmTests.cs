using CsCheck;
using NextPatch.Core;
using NextPatch.Data.Imaging;
using SkiaSharp;

namespace NextPatch.Data.Tests.Imaging;

public sealed class GifAndPnmTests
{
    [Fact]
    public void Opaque_gifs_are_what_another_decoder_reads()
        => (from width in Gen.Int[1, 70]
            from height in Gen.Int[1, 70]
            from interlaced in Gen.Bool
            from colours in Gen.Int[2, 16]
            from indices in Gen.Int[0, colours - 1].Select(i => (byte)i).Array[width * height]
            select (width, height, interlaced, indices)).Sample(c =>
            {
                var file = Gif(c.width, c.height, c.indices, c.interlaced);
                using var bitmap = SKBitmap.Decode(file, new SKImageInfo(c.width, c.height, SKColorType.Rgba8888, SKAlphaType.Unpremul));
                var rgb = new byte[c.width * c.height * 3];
                ImageDecoder.DropAlpha(bitmap.GetPixelSpan(), rgb);
                return rgb.AsSpan().SequenceEqual(ImageDecoder.Decode(file, "x").Pixels);
            }, iter: 200);

    [Fact]
    public void Transparent_pixels_and_free_ground_show_the_colour_of_their_index()
    {
        var image = ImageDecoder.Decode(Gif(2, 1, [5, 2], interlaced: false, transparent: 2, screenWidth: 3), "x");
        Assert.Equal([.. Colour(5), .. Colour(2), .. Colour(2)], image.Pixels);
    }

    [Fact]
    public void A_picture_of_one_endless_row_is_refused()
        => Assert.Contains(
            "a side of more than 1048576 pixels",
            Assert.Throws<DataFormatException>(() => ImageDecoder.Decode([.. "P5 23000000 1 255\n"u8, .. new byte[23_000_000]], "x")).Message,
            StringComparison.Ordinal);

    [Fact]
    public void Damaged_gifs_are_refused_with_their_name()
    {
        var file = Gif(9, 7, [.. Enumerable.Range(0, 63).Select(i => (byte)(i % 16))], interlaced: false);
        var random = new Random(3);
        for (var round = 0; round < 2000; round++)
        {
            var bytes = (byte[])file.Clone();
            bytes[random.Next(6, bytes.Length)] = (byte)random.Next(256);
            bytes[random.Next(6, bytes.Length)] = (byte)random.Next(256);
            try
            {
                ImageDecoder.Decode(bytes.AsSpan(0, round % 3 == 0 ? random.Next(6, bytes.Length) : bytes.Length), "fuzzed");
            }
            catch (DataFormatException e)
            {
                Assert.Contains("'fuzzed'", e.Message, StringComparison.Ordinal);
            }
        }
    }

    [Fact]
    public void Anymaps_are_read_and_scaled()
    {
        Assert.Equal([1, 1, 1, 200, 200, 200], ImageDecoder.Decode([.. "P5\n# made by hand\n2 1\n255\n"u8, 1, 200], "x").Pixels);
        Assert.Equal([1, 2, 3], ImageDecoder.Decode([.. "P6 1 1 255 "u8, 1, 2, 3], "x").Pixels);
        Assert.Equal([0, 0, 0, 85, 85, 85, 255, 255, 255], ImageDecoder.Decode([.. "P5 3 1 15\n"u8, 0, 5, 15], "x").Pixels);
    }

    [Theory]
    [InlineData("P5 2 2 255 \u0001", "truncated")]
    [InlineData("P5 2 2", "header is truncated")]
    [InlineData("P6 2 2 65535 ", "expected 1 to 255")]
    [InlineData("P5 90000 90000 255 ", "million pixels")]
    public void Damaged_anymaps_are_refused(string file, string reason)
        => Assert.Contains(
            reason, Assert.Throws<DataFormatException>(() => ImageDecoder.Decode(System.Text.Encoding.Latin1.GetBytes(file), "x")).Message,
            StringComparison.Ordinal);

    private static byte[] Colour(int index) => [(byte)(index * 16), (byte)(255 - (index * 9)), (byte)(index * 3)];

    /// <summary>A GIF file of 16 colours. Codes are packed as an encoder with a full string table packs them.</summary>
    private static byte[] Gif(int width, int height, byte[] indices, bool interlaced, int? transparent = null, int? screenWidth = null)
    {
        var file = new List<byte>([.. "GIF89a"u8]);
        void Short(int value) => file.AddRange([(byte)value, (byte)(value >> 8)]);
        Short(screenWidth ?? width);
        Short(height);
        file.AddRange([0x83, 0, 0]);
        for (var i = 0; i < 16; i++)
        {
            file.AddRange(Colour(i));
        }

        if (transparent is { } index)
        {
            file.AddRange([0x21, 0xF9, 4, 1, 0, 0, (byte)index, 0]);
        }

        file.Add(0x2C);
        Short(0);
        Short(0);
        Short(width);
        Short(height);
        file.AddRange([(byte)(interlaced ? 0x40 : 0), 4]);
        foreach (var block in Pack(indices).Chunk(255))
        {
            file.AddRange([(byte)block.Length, .. block]);
        }

        file.AddRange([0, 0x3B]);
        return [.. file];
    }

    private static List<byte> Pack(byte[] indices)
    {
        var (bytes, buffer, held, bits, next) = (new List<byte>(), 0, 0, 5, 18);
        var strings = new Dictionary<string, int>();
        void Emit(int code)
        {
            buffer |= code << held;
            for (held += bits; held >= 8; held -= 8, buffer >>= 8)
            {
                bytes.Add((byte)buffer);
            }
        }

        int CodeOf(string s) => s.Length == 1 ? s[0] : strings[s];
        Emit(16);
        var current = ((char)indices[0]).ToString();
        foreach (var index in indices.AsSpan(1))
        {
            var longer = current + (char)index;
            if (strings.ContainsKey(longer))
            {
                current = longer;
                continue;
            }

            Emit(CodeOf(current));
            if (next < 4096)
            {
                strings[longer] = next;
                bits += next == 1 << bits ? 1 : 0;
                next++;
            }

            current = ((char)index).ToString();
        }

        Emit(CodeOf(current));
        Emit(17);
        bytes.Add((byte)buffer);
        return bytes;
    }
}
