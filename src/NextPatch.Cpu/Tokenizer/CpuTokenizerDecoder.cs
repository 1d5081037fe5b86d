using System.Runtime.Intrinsics;
using NextPatch.Core;
using NextPatch.Core.Checkpoints;
using NextPatch.Core.Configuration;
using NextPatch.Core.Tensors;
using NextPatch.Kernels.Simd;
using NextPatch.Kernels.Threading;

namespace NextPatch.Cpu.Tokenizer;

// Shape letters: N images, S pixels per side, T codes per image, g grid side, W code width.

/// <summary>
/// A VQ tokenizer's decoder in C# alone, one image at a time: the published ones and small ones. Pixels are within one level of TorchSharp's, whose
/// sums have another order. One call at a time.
/// </summary>
public sealed class CpuTokenizerDecoder : IDisposable
{
    private readonly TokenizerConfig _config;
    private readonly float[] _codebook; // [K, W], on the unit sphere where codes are compared there
    private readonly List<IDecoderLayer> _layers;
    private readonly DecoderMaps _maps = new();
    private readonly ThreadTeam _team;

    private CpuTokenizerDecoder(TokenizerConfig config, TokenizerState state, int threads)
    {
        _config = config;
        _codebook = state.Get("quantize.embedding.weight", config.CodebookSize, config.CodeWidth).ToSingles();
        if (config.NormalizeCodes)
        {
            Normalize(_codebook, config.CodeWidth);
        }

        _layers = DecoderNetworks.Create(config, state);
        _team = new ThreadTeam(threads);
    }

    /// <summary>Reads the decoder's part of a tokenizer; the file may be closed afterwards.</summary>
    /// <param name="weights">Its weights.</param>
    /// <param name="config">Its sizes.</param>
    /// <param name="threads">How many compute, the caller's included; null = one per processor.</param>
    /// <exception cref="NextPatchException">The weights do not fit the configuration.</exception>
    public static CpuTokenizerDecoder Open(WeightsFile weights, TokenizerConfig config, int? threads = null)
        => Open(weights.Tensors, config, weights.Path, threads);

    /// <summary>Codes to images in bytes.</summary>
    /// <param name="codes">[N, T], each in [0, K).</param>
    /// <param name="cancellation">Checked between layers.</param>
    /// <returns>uint8 [N, S, S, 3].</returns>
    /// <exception cref="NextPatchException">A code is outside the codebook, or the count is not a whole number of images.</exception>
    public byte[] DecodePixels(ReadOnlyMemory<int> codes, CancellationToken cancellation = default)
    {
        RequireCodes(codes.Span);
        var (size, length) = (_config.ImageSide * _config.ImageSide * 3, _config.CodesPerImage);
        var pixels = new byte[codes.Length / length * size];
        for (var image = 0; image * length < codes.Length; image++)
        {
            Decode(codes.Span.Slice(image * length, length), pixels.AsSpan(image * size, size), cancellation);
        }

        return pixels;
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        _team.Dispose();
        _maps.Dispose();
        _layers.ForEach(layer => layer.Dispose());
    }

    internal static CpuTokenizerDecoder Open(IReadOnlyDictionary<string, StoredTensor> tensors, TokenizerConfig config, string source, int? threads)
    {
        config.Validate();
        return new CpuTokenizerDecoder(config, new TokenizerState(tensors, source), threads ?? Environment.ProcessorCount);
    }

    /// <summary>One image with vectors of a given width, before it is rounded: float [S, S, 3], nominally in [-1, 1].</summary>
    internal unsafe float[] Render<L>(ReadOnlySpan<int> codes, CancellationToken cancellation)
        where L : unmanaged, ISimd<L>
    {
        var (grid, side) = (_config.GridSide, _config.ImageSide);
        _maps.Current.Shape(grid, grid, _config.CodeWidth);
        for (var i = 0; i < codes.Length; i++)
        {
            var vector = _codebook.AsSpan(codes[i] * _config.CodeWidth, _config.CodeWidth);
            vector.CopyTo(new Span<float>(_maps.Current.At(i / grid, i % grid), _config.CodeWidth));
        }

        foreach (var layer in _layers)
        {
            cancellation.ThrowIfCancellationRequested();
            layer.Run<L>(_team, _maps);
        }

        var image = new float[side * side * 3];
        for (var y = 0; y < side; y++)
        {
            new ReadOnlySpan<float>(_maps.Current.At(y, 0), side * 3).CopyTo(image.AsSpan(y * side * 3));
        }

        return image;
    }

    private void Decode(ReadOnlySpan<int> codes, Span<byte> pixels, CancellationToken cancellation)
    {
        var image = Vector512.IsHardwareAccelerated ? Render<Simd16>(codes, cancellation)
            : Vector256.IsHardwareAccelerated ? Render<Simd8>(codes, cancellation)
            : Vector128.IsHardwareAccelerated ? Render<Simd4>(codes, cancellation)
            : Render<Simd1>(codes, cancellation);
        for (var i = 0; i < image.Length; i++)
        {
            pixels[i] = (byte)Math.Clamp((image[i] * 127.5f) + 128, 0, 255); // the published rule: truncation
        }
    }

    private static void Normalize(float[] vectors, int width)
    {
        for (var start = 0; start < vectors.Length; start += width)
        {
            var vector = vectors.AsSpan(start, width);
            var square = 0.0;
            foreach (var v in vector)
            {
                square += (double)v * v;
            }

            var length = (float)Math.Max(Math.Sqrt(square), 1e-12); // PyTorch's normalize
            foreach (ref var v in vector)
            {
                v /= length;
            }
        }
    }

    private void RequireCodes(ReadOnlySpan<int> codes)
    {
        if (codes.Length % _config.CodesPerImage != 0)
        {
            throw new NextPatchException($"{codes.Length} codes are not a whole number of images of {_config.CodesPerImage} codes each.");
        }

        foreach (var code in codes)
        {
            if (code < 0 || code >= _config.CodebookSize)
            {
                throw new NextPatchException(
                    $"Code {code} is outside the tokenizer's codebook of {_config.CodebookSize}; the codes probably belong to another tokenizer.");
            }
        }
    }
}
