using CsCheck;
using NextPatch.Core.Imaging;
using SkiaSharp;

namespace NextPatch.Data.Tests.Imaging;

/// <summary>The Core writer against an independent reader.</summary>
public sealed class PngWriterTests
{
    [Fact]
    public void Skia_reads_back_the_pixels_that_were_written()
        => Gen.Select(Gen.Int[1, 40], Gen.Int[1, 40]).SelectMany((w, h) => Gen.Byte.Array[w * h * 3].Select(p => new RgbImage(w, h, p))).Sample(
            image =>
            {
                using var bitmap = SKBitmap.Decode(PngWriter.Encode(image, new Dictionary<string, string> { ["note"] = "日本" }));
                Assert.Equal((image.Width, image.Height), (bitmap.Width, bitmap.Height));
                Assert.Equal(image.Pixels, bitmap.Pixels.SelectMany(c => new[] { c.Red, c.Green, c.Blue }));
            },
            iter: 30);
}
