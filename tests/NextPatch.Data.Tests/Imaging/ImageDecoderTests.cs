using System.Buffers.Binary;
using System.IO.Compression;
using System.IO.Hashing;
using NextPatch.Core;
using NextPatch.Core.Imaging;
using NextPatch.Data.Imaging;
using NextPatch.Data.Tests.Datasets;
using SkiaSharp;

namespace NextPatch.Data.Tests.Imaging;

public sealed class ImageDecoderTests
{
    [Fact]
    public void Sixteen_bit_grey_is_clipped_and_sixteen_bit_colour_keeps_its_high_byte()
    {
        // As Pillow: integers above 255 become 255.
        Assert.Equal([0, 1, 200, 255, 255, 255], Greys(Png(6, 1, depth: 16, colour: 0, [0, 0, 0, 1, 0, 200, 0, 255, 1, 0, 0xFF, 0xFF])));
        Assert.Equal([0x12, 0x34, 0xFF], ImageDecoder.Decode(Png(1, 1, depth: 16, colour: 2, [0x12, 0xFF, 0x34, 0, 0xFF, 0x7F]), "x").Pixels);
    }

    [Fact]
    public void Every_value_of_sixteen_bit_grey_up_to_255_is_exact()
    {
        var samples = Enumerable.Range(0, 256).SelectMany(v => new byte[] { 0, (byte)v }).ToArray();
        Assert.Equal(Enumerable.Range(0, 256).Select(v => (byte)v), Greys(Png(256, 1, 16, 0, samples)));
    }

    [Fact]
    public void Lossless_webp_comes_back_exactly_and_bmp_is_read()
    {
        var image = SamplePictures.Pixels(3);
        Assert.Equal(image.Pixels, ImageDecoder.Decode(Encode(image, SKEncodedImageFormat.Webp, 100), "x").Pixels);
        byte[] bmp = [.. "BM"u8, 58, 0, 0, 0, 0, 0, 0, 0, 54, 0, 0, 0, 40, 0, 0, 0, 1, 0, 0, 0, 1, 0, 0, 0, 1, 0, 24, 0, .. new byte[24], 10, 20, 30,
            0];
        Assert.Equal([30, 20, 10], ImageDecoder.Decode(bmp, "x").Pixels);
    }

    [Fact]
    public void Alpha_is_left_out_whatever_the_number_of_pixels()
    {
        for (var pixels = 0; pixels < 40; pixels++)
        {
            var rgba = Enumerable.Range(0, pixels * 4).Select(i => (byte)(i * 37)).ToArray();
            var rgb = new byte[pixels * 3];
            ImageDecoder.DropAlpha(rgba, rgb);
            Assert.Equal(rgba.Where((_, i) => i % 4 < 3), rgb);
        }
    }

    [Theory]
    [InlineData(20_000, 20_000, "million pixels are refused")]
    [InlineData(9_000, 9_000, "claims 9000x9000 pixels but has only")]
    public void Header_that_claims_too_much_is_refused_before_memory_is_taken(int width, int height, string reason)
    {
        var before = GC.GetAllocatedBytesForCurrentThread();
        var error = Assert.Throws<DataFormatException>(() => ImageDecoder.Decode(Png(width, height, 8, 2, []), "big.png"));
        Assert.Contains(reason, error.Message, StringComparison.Ordinal);
        Assert.StartsWith("'big.png'", error.Message, StringComparison.Ordinal);
        Assert.InRange(GC.GetAllocatedBytesForCurrentThread() - before, 0, 1 << 20);
    }

    [Theory]
    [InlineData("II*\0\0\0\0\0", "TIFF")]
    [InlineData("\0\0\0 ftypavif", "AVIF")]
    [InlineData("", "is empty")]
    [InlineData("hello", "no JPEG, PNG")]
    public void Other_files_are_refused_with_the_reason(string start, string reason)
    {
        var error = Assert.Throws<DataFormatException>(() => ImageDecoder.Decode(System.Text.Encoding.Latin1.GetBytes(start), "x.dat"));
        Assert.Contains("'x.dat'", error.Message, StringComparison.Ordinal);
        Assert.Contains(reason, error.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void Missing_file_is_named()
        => Assert.Contains(
            "'/nowhere/a.png'", Assert.Throws<NextPatchException>(() => ImageDecoder.Decode("/nowhere/a.png")).Message, StringComparison.Ordinal);

    [Fact]
    public void Truncated_files_of_every_format_are_refused()
    {
        var image = SamplePictures.Pixels(1);
        byte[][] files = [SamplePictures.Png(1), Encode(image, SKEncodedImageFormat.Jpeg, 90), Encode(image, SKEncodedImageFormat.Webp, 100)];
        foreach (var file in files)
        {
            ImageDecoder.Decode(file, "x");
            Assert.Throws<DataFormatException>(() => ImageDecoder.Decode(file.AsSpan(0, file.Length * 2 / 3), "x"));
        }
    }

    [Fact]
    public void End_marker_of_a_progressive_jpeg_must_be_there()
    {
        byte[] header = [0xFF, 0xD8, 0xFF, 0xE0, 0, 4, 0xFF, 0xD9, 0xFF, 0xC2, 0, 3, 0, 0xFF, 0xDA, 0, 3, 0];
        Assert.True(JpegEnding.IsMissing([.. header, 1, 2, 3]));
        Assert.False(JpegEnding.IsMissing([.. header, 1, 0xFF, 0xD9]));
        header[9] = 0xC0; // sequential: the decoder counts the blocks itself
        Assert.False(JpegEnding.IsMissing([.. header, 1, 2, 3]));
    }

    /// <summary>NEXTPATCH_FUZZ sets the number of files, NEXTPATCH_FUZZ_SEED another seed.</summary>
    [Fact]
    public void Fuzzed_files_decode_or_are_refused()
    {
        var image = SamplePictures.Pixels(1);
        byte[][] files = [SamplePictures.Png(1), Encode(image, SKEncodedImageFormat.Jpeg, 90), Encode(image, SKEncodedImageFormat.Webp, 80),
            Png(4, 2, 16, 0, new byte[16])];
        var random = new Random(Setting("NEXTPATCH_FUZZ_SEED", 11));
        var rounds = Setting("NEXTPATCH_FUZZ", 1500);
        for (var round = 0; round < rounds; round++)
        {
            var bytes = (byte[])files[round % files.Length].Clone();
            for (var k = random.Next(1, 9); k > 0; k--)
            {
                bytes[random.Next(k % 2 == 0 ? Math.Min(bytes.Length, 64) : bytes.Length)] = (byte)random.Next(256);
            }

            try
            {
                var decoded = ImageDecoder.Decode(bytes.AsSpan(0, round % 5 == 0 ? random.Next(bytes.Length) : bytes.Length), "fuzzed");
                Assert.Equal(decoded.Width * decoded.Height * 3, decoded.Pixels.Length);
            }
            catch (DataFormatException e)
            {
                Assert.Contains("'fuzzed'", e.Message, StringComparison.Ordinal);
            }
        }
    }

    private static int Setting(string variable, int otherwise)
        => int.TryParse(Environment.GetEnvironmentVariable(variable), out var value) ? value : otherwise;

    private static IEnumerable<byte> Greys(byte[] png) => ImageDecoder.Decode(png, "x").Pixels.Chunk(3).Select(p => p[0]);

    private static byte[] Encode(RgbImage image, SKEncodedImageFormat format, int quality)
    {
        using var bitmap = new SKBitmap(new SKImageInfo(image.Width, image.Height, SKColorType.Rgba8888, SKAlphaType.Opaque));
        for (var i = 0; i < image.Width * image.Height; i++)
        {
            bitmap.SetPixel(i % image.Width, i / image.Width, new SKColor(image.Pixels[i * 3], image.Pixels[(i * 3) + 1], image.Pixels[(i * 3) + 2]));
        }

        using var data = bitmap.Encode(format, quality);
        return data.ToArray();
    }

    /// <summary>A PNG file of unfiltered rows.</summary>
    private static byte[] Png(int width, int height, byte depth, byte colour, byte[] samples)
    {
        using var file = new MemoryStream();
        file.Write([0x89, (byte)'P', (byte)'N', (byte)'G', 0x0D, 0x0A, 0x1A, 0x0A]);
        var header = new byte[13];
        BinaryPrimitives.WriteInt32BigEndian(header, width);
        BinaryPrimitives.WriteInt32BigEndian(header.AsSpan(4), height);
        (header[8], header[9]) = (depth, colour);
        Chunk(file, "IHDR"u8, header);
        using var rows = new MemoryStream();
        using (var zlib = new ZLibStream(rows, CompressionLevel.Optimal, leaveOpen: true))
        {
            var stride = samples.Length / height;
            for (var y = 0; y < height && stride > 0; y++)
            {
                zlib.WriteByte(0);
                zlib.Write(samples.AsSpan(y * stride, stride));
            }
        }

        Chunk(file, "IDAT"u8, rows.ToArray());
        Chunk(file, "IEND"u8, []);
        return file.ToArray();
    }

    private static void Chunk(MemoryStream file, ReadOnlySpan<byte> type, ReadOnlySpan<byte> data)
    {
        Span<byte> number = stackalloc byte[4];
        BinaryPrimitives.WriteInt32BigEndian(number, data.Length);
        file.Write(number);
        byte[] body = [.. type, .. data];
        file.Write(body);
        BinaryPrimitives.WriteUInt32BigEndian(number, Crc32.HashToUInt32(body));
        file.Write(number);
    }
}
