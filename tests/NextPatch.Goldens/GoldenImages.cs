using System.Text.Json.Nodes;
using NextPatch.Core.Imaging;
using NextPatch.Core.Tensors;
using NextPatch.Data.Imaging;

namespace NextPatch.Goldens;

/// <summary>Recorded images: arrays uint8 [height, width, 3], and files.</summary>
internal static class GoldenImages
{
    // What the manifests say in prose for another decoder than Pillow's: levels apart, at most and on average.
    private const double JpegMaximum = 12;
    private const double JpegMean = 1;

    public static RgbImage FromArray(HostTensor array) => new((int)array.Shape[1], (int)array.Shape[0], array.Bytes.ToArray());

    public static HostTensor ToArray(RgbImage image) => HostTensor.From<byte>(ElementType.UInt8, [image.Height, image.Width, 3], image.Pixels);

    public static RgbImage Decode(GoldenCase golden, JsonNode? file) => ImageDecoder.Decode(golden.PathOf((string)file!));

    /// <summary>The bytes, or for a JPEG source what another decoder may make of them.</summary>
    public static void Same(CaseRun run, string what, RgbImage image, HostTensor expected)
    {
        var isJpeg = what.EndsWith(".jpg", StringComparison.OrdinalIgnoreCase) || what.EndsWith(".jpeg", StringComparison.OrdinalIgnoreCase);
        run.Close(what, ToArray(image), expected, isJpeg ? new Tolerance(JpegMaximum, 0) : Tolerance.Exact);
        if (isJpeg && image.Pixels.Length == expected.Count)
        {
            run.Close($"mean distance of {what}", image.Pixels.Zip(expected.Bytes.ToArray(), (a, b) => Math.Abs(a - b)).Average(), 0,
                new Tolerance(JpegMean, 0));
        }
    }
}
