using NextPatch.Core.Generation;
using NextPatch.Core.Imaging;

namespace NextPatch.Sampling;

// Shape letters used in this file: N images, T codes per image, S pixels per side as drawn, E as written.

/// <summary>Codes to images at the size at which they are written.</summary>
internal sealed class SampleDecoder
{
    private readonly IImageTokenizer _tokenizer;
    private readonly EvaluationSize? _size;

    /// <param name="tokenizer">Decodes.</param>
    /// <param name="size">Null: as decoded.</param>
    public SampleDecoder(IImageTokenizer tokenizer, EvaluationSize? size) => (_tokenizer, _size) = (tokenizer, size);

    /// <summary>E.</summary>
    public int Side => _size?.Side ?? _tokenizer.Config.ImageSide;

    /// <param name="codes">[N, T].</param>
    /// <param name="cancellation">Checked between images.</param>
    /// <returns>uint8 [N, E, E, 3].</returns>
    public byte[] Decode(ReadOnlyMemory<int> codes, CancellationToken cancellation)
        => _size is null ? _tokenizer.Decode(codes, cancellation)
            : _size.IsAntialiased ? Shrink(_tokenizer.Decode(codes, cancellation))
            : Interpolate(codes, cancellation);

    /// <summary>As published: the decoder's own numbers are interpolated, and only then become bytes.</summary>
    private byte[] Interpolate(ReadOnlyMemory<int> codes, CancellationToken cancellation)
    {
        var (from, to, length) = (_tokenizer.Config.ImageSide, Side, _tokenizer.Config.CodesPerImage);
        var pixels = new byte[codes.Length / length * to * to * 3];
        for (var i = 0; i < codes.Length / length; i++)
        {
            cancellation.ThrowIfCancellationRequested();
            // [3, E, E]
            var planes = BicubicInterpolation.Resize(_tokenizer.DecodePlanes(codes.Slice(i * length, length), cancellation), from, from, to, to);
            ToPixels(planes, pixels.AsSpan(i * to * to * 3, to * to * 3));
        }

        return pixels;
    }

    private byte[] Shrink(byte[] images)
    {
        var (from, to) = (_tokenizer.Config.ImageSide, Side);
        var pixels = new byte[images.Length / (from * from) * to * to];
        for (var i = 0; i < images.Length / (from * from * 3); i++)
        {
            var image = new RgbImage(from, from, images.AsSpan(i * from * from * 3, from * from * 3).ToArray());
            PillowResize.Resize(image, to, to, ResampleFilter.Bicubic).Pixels.CopyTo(pixels, i * to * to * 3);
        }

        return pixels;
    }

    /// <summary>The published rule: truncation of 127.5 x + 128, clamped to 0..255.</summary>
    /// <param name="planes">float [3, E, E], nominally in [-1, 1].</param>
    /// <param name="pixels">uint8 [E, E, 3].</param>
    private static void ToPixels(ReadOnlySpan<float> planes, Span<byte> pixels)
    {
        var plane = planes.Length / 3;
        for (var p = 0; p < plane; p++)
        {
            for (var channel = 0; channel < 3; channel++)
            {
                pixels[(p * 3) + channel] = (byte)Math.Clamp((planes[(channel * plane) + p] * 127.5f) + 128f, 0f, 255f);
            }
        }
    }
}
