using System.Diagnostics.CodeAnalysis;
using System.Globalization;
using NextPatch.Core.Imaging;
using NextPatch.Data.Imaging;
using NextPatch.Data.Sources;
using SkiaSharp;

namespace NextPatch.Benchmarks.Extraction;

/// <summary>JPEG files of 500x375 in memory, drawn: noise on a gradient, with about as many bytes as photographs of ImageNet have.</summary>
internal sealed class DrawnPhotographs : ImageSource
{
    private const int Width = 500;
    private const int Height = 375;
    private const int Quality = 92;
    private readonly byte[] _jpeg;

    [SetsRequiredMembers]
    public DrawnPhotographs(int count)
    {
        (Name, Layout, ClassNames, Count) = ("drawn", "JPEG in memory", ["noise"], count);
        using var bitmap = new SKBitmap(new SKImageInfo(Width, Height, SKColorType.Rgba8888, SKAlphaType.Opaque));
        var random = new Random(1);
        for (var i = 0; i < Width * Height; i++)
        {
            var (x, y) = (i % Width, i / Width);
            var v = (byte)Math.Clamp(((x + y) / 4) + random.Next(-16, 16), 0, 255);
            bitmap.SetPixel(x, y, new SKColor(v, (byte)(255 - v), (byte)(v / 2)));
        }

        using var data = bitmap.Encode(SKEncodedImageFormat.Jpeg, Quality);
        _jpeg = data.ToArray();
    }

    public override int Count { get; }

    public override int Label(int i) => 0;

    public override string PathOf(int i) => i.ToString(CultureInfo.InvariantCulture);

    public override RgbImage Decode(int i) => ImageDecoder.Decode(_jpeg, Name);
}
