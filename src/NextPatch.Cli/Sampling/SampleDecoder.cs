using NextPatch.Core.Imaging;
using NextPatch.Torch.Tokenizer;
using static TorchSharp.torch;

namespace NextPatch.Cli.Sampling;

// Shape letters used in this file: N images, T codes per image, S pixels per side as drawn, E as written.

/// <summary>Codes to images at the size at which they are written.</summary>
internal sealed class SampleDecoder
{
    private readonly VqTokenizer _tokenizer;
    private readonly EvaluationSize? _size;

    /// <param name="tokenizer">Decodes.</param>
    /// <param name="size">Null: as decoded.</param>
    public SampleDecoder(VqTokenizer tokenizer, EvaluationSize? size) => (_tokenizer, _size) = (tokenizer, size);

    /// <summary>E.</summary>
    public int Side => _size?.Side ?? _tokenizer.Config.ImageSide;

    /// <param name="codes">[N, T].</param>
    /// <param name="cancellation">Checked between images.</param>
    /// <returns>uint8 [N, E, E, 3].</returns>
    public byte[] Decode(ReadOnlyMemory<int> codes, CancellationToken cancellation)
        => _size is null ? _tokenizer.DecodePixels(codes, cancellation)
            : _size.IsAntialiased ? Shrink(_tokenizer.DecodePixels(codes, cancellation))
            : Interpolate(codes, cancellation);

    /// <summary>Images before they become bytes, float [N, 3, S, S], not clamped.</summary>
    /// <param name="codes">[N, T].</param>
    public float[] DecodePlanes(ReadOnlyMemory<int> codes)
    {
        using var scope = NewDisposeScope();
        var length = _tokenizer.Config.CodesPerImage;
        var decoded = _tokenizer.Decode(tensor(codes.ToArray(), [codes.Length / length, length], dtype: ScalarType.Int64)); // [N, 3, S, S]
        return decoded.contiguous().data<float>().ToArray();
    }

    /// <summary>As published: the decoder's own numbers are interpolated, and only then become bytes.</summary>
    private byte[] Interpolate(ReadOnlyMemory<int> codes, CancellationToken cancellation)
    {
        var (from, to, length) = (_tokenizer.Config.ImageSide, Side, _tokenizer.Config.CodesPerImage);
        var pixels = new byte[codes.Length / length * to * to * 3];
        for (var i = 0; i < codes.Length / length; i++)
        {
            cancellation.ThrowIfCancellationRequested();
            var planes = BicubicInterpolation.Resize(DecodePlanes(codes.Slice(i * length, length)), from, from, to, to); // [3, E, E]
            using var scope = NewDisposeScope();
            ImageTensors.ToPixels(tensor(planes, [1, 3, to, to])).CopyTo(pixels, i * to * to * 3);
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
}
