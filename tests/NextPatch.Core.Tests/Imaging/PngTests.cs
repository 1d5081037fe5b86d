using CsCheck;
using NextPatch.Core.Imaging;

namespace NextPatch.Core.Tests.Imaging;

public sealed class PngTests
{
    private static readonly Dictionary<string, string> Text = new() { ["seed"] = "42", ["class"] = "Œuf über ☃", ["empty"] = "" };

    [Fact]
    public void Text_comes_back_as_written()
    {
        using var file = new MemoryStream(PngWriter.Encode(new RgbImage(5, 3), Text));
        Assert.Equal(Text, PngText.Read(file));
    }

    /// <summary>CRC-32 of "IEND" is a constant of every PNG file.</summary>
    [Fact]
    public void File_ends_with_the_known_end_chunk()
        => Assert.Equal("0000000049454E44AE426082", Convert.ToHexString(PngWriter.Encode(new RgbImage(1, 1))[^12..]));

    [Fact]
    public void Every_truncation_is_an_error_that_says_so()
    {
        var file = PngWriter.Encode(new RgbImage(5, 3), Text);
        for (var length = 8; length < file.Length - 4; length++)
        {
            using var cut = new MemoryStream(file, 0, length);
            Assert.Contains("truncated", Assert.Throws<DataFormatException>(() => PngText.Read(cut)).Message, StringComparison.Ordinal);
        }
    }

    [Fact]
    public void Damage_gives_a_format_error_or_an_answer_but_never_another_exception()
    {
        var file = PngWriter.Encode(new RgbImage(5, 3), Text);
        Gen.Select(Gen.Int[0, file.Length - 1], Gen.Byte).Sample((at, value) =>
        {
            var damaged = (byte[])file.Clone();
            damaged[at] = value;
            using var stream = new MemoryStream(damaged);
            try
            {
                PngText.Read(stream);
            }
            catch (DataFormatException)
            {
            }
        });
    }

    [Fact]
    public void Changed_text_fails_its_checksum()
    {
        var file = PngWriter.Encode(new RgbImage(1, 1), new Dictionary<string, string> { ["seed"] = "42" });
        file[file.AsSpan().IndexOf("42"u8)]++;
        using var stream = new MemoryStream(file);
        Assert.Contains("checksum", Assert.Throws<DataFormatException>(() => PngText.Read(stream)).Message, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("")]
    [InlineData("schlüssel")]
    public void Key_that_png_cannot_hold_is_refused(string key)
        => Assert.Throws<ArgumentException>(() => PngWriter.Encode(new RgbImage(1, 1), new Dictionary<string, string> { [key] = "x" }));
}
