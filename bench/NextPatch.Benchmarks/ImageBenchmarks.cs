using BenchmarkDotNet.Attributes;
using NextPatch.Core.Imaging;
using NextPatch.Data.Imaging;
using SkiaSharp;

namespace NextPatch.Benchmarks;

/// <summary>From a JPEG of 500x375 to ten crops of 256x256, in its steps.</summary>
public class ImageBenchmarks
{
    private const int Side = 256;
    private readonly byte[] _crops = new byte[10 * Side * Side * 3];
    private byte[] _jpeg = null!;
    private RgbImage _image = null!;
    private RgbImage _square = null!;

    [GlobalSetup]
    public void Setup()
    {
        // Noise on a gradient: about 100 kB, as photographs of ImageNet have.
        using var bitmap = new SKBitmap(new SKImageInfo(500, 375, SKColorType.Rgba8888, SKAlphaType.Opaque));
        var random = new Random(1);
        for (var y = 0; y < bitmap.Height; y++)
        {
            for (var x = 0; x < bitmap.Width; x++)
            {
                var v = (byte)Math.Clamp(((x + y) / 4) + random.Next(-16, 16), 0, 255);
                bitmap.SetPixel(x, y, new SKColor(v, (byte)(255 - v), (byte)(v / 2)));
            }
        }

        using var data = bitmap.Encode(SKEncodedImageFormat.Jpeg, 92);
        _jpeg = data.ToArray();
        _image = ImageDecoder.Decode(_jpeg, "drawn");
        _square = ImageCrops.Centre(_image, ImageCrops.TenCropSide(Side, 1.1));
    }

    [Benchmark]
    public RgbImage Decode() => ImageDecoder.Decode(_jpeg, "drawn");

    [Benchmark]
    public RgbImage CentreCrop() => ImageCrops.Centre(_image, ImageCrops.TenCropSide(Side, 1.1));

    [Benchmark]
    public void TenCrops() => ImageCrops.Ten(_square, Side, _crops);

    [Benchmark(Baseline = true)]
    public void All() => ImageCrops.Ten(ImageCrops.Centre(ImageDecoder.Decode(_jpeg, "drawn"), ImageCrops.TenCropSide(Side, 1.1)), Side, _crops);
}
