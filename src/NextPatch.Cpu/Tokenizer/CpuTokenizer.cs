using System.Runtime.Intrinsics;
using NextPatch.Core;
using NextPatch.Core.Checkpoints;
using NextPatch.Core.Configuration;
using NextPatch.Core.Generation;
using NextPatch.Core.Tensors;
using NextPatch.Kernels.Simd;
using NextPatch.Kernels.Threading;

namespace NextPatch.Cpu.Tokenizer;

// Shape letters: N images, S pixels per side, T codes per image, g grid side, W code width.

/// <summary>
/// A VQ tokenizer in C# alone, one image at a time: the published ones and small ones. Pixels are within one level of TorchSharp's, whose sums have
/// another order; codes differ where two code vectors are about equally near. One call at a time.
/// </summary>
public sealed class CpuTokenizer : IImageTokenizer
{
    private const int PixelsPerBatch = 64 * 32 * 32;

    /// <summary>
    /// Smaller tensors are read at once: the file of a small tokenizer may go as soon as it is open, as that of the built-in one does.
    /// </summary>
    private const long LargeTensor = 1 << 20;

    private readonly float[] _codebook; // [K, W], on the unit sphere where codes are compared there
    private readonly List<ITokenizerLayer> _encoder; // laid out as it first runs, and so is the decoder
    private readonly List<ITokenizerLayer> _decoder;
    private readonly Lazy<CodeSearch> _search;
    private readonly TokenizerMaps _maps = new();
    private readonly ThreadTeam _team;
    private List<IDisposable> _held = [];

    private CpuTokenizer(TokenizerConfig config, TokenizerState state, int threads)
    {
        Config = config;
        _codebook = state.Get("quantize.embedding.weight", config.CodebookSize, config.CodeWidth).Read().ToSingles();
        if (config.NormalizeCodes)
        {
            UnitVectors.Norm(_codebook, config.CodeWidth);
        }

        _decoder = TokenizerNetworks.Decoder(config, state);
        _encoder = TokenizerNetworks.Encoder(config, state);
        _search = new Lazy<CodeSearch>(() => new CodeSearch(_codebook, config.CodeWidth, config.NormalizeCodes));
        _team = new ThreadTeam(threads);
    }

    /// <inheritdoc/>
    public TokenizerConfig Config { get; }

    /// <summary>Images are computed one by one; this many are asked for at a time.</summary>
    public int EncodingBatch { get; private init; }

    /// <summary>Opens a tokenizer; the file may be closed afterwards. Encoder and decoder are each read and laid out when first needed.</summary>
    /// <param name="weights">By the state keys of a VQGAN or of a small tokenizer.</param>
    /// <param name="config">Its sizes.</param>
    /// <param name="encodingBatch">What <see cref="EncodingBatch"/> says; codes do not depend on it.</param>
    /// <param name="threads">How many compute, the caller's included; null = one per processor.</param>
    /// <exception cref="NextPatchException">The weights do not fit the configuration, or one is not finite.</exception>
    public static CpuTokenizer Open(WeightsFile weights, TokenizerConfig config, int? encodingBatch = null, int? threads = null)
    {
        var held = new List<IDisposable>();
        try
        {
            var tensors = weights.Tensors.ToDictionary(p => p.Key, p => Kept(p.Key, p.Value, weights.Path, held));
            var tokenizer = Open(tensors, config, weights.Path, encodingBatch, threads);
            tokenizer._held = held;
            return tokenizer;
        }
        catch
        {
            held.ForEach(file => file.Dispose());
            throw;
        }
    }

    /// <inheritdoc/>
    public void Encode(ReadOnlySpan<byte> pixels, Span<int> codes, CancellationToken cancellation = default)
    {
        var (size, length) = (Config.ImageSide * Config.ImageSide * 3, Config.CodesPerImage);
        if (pixels.Length % size != 0)
        {
            throw new ArgumentException(
                $"{pixels.Length} bytes are not a whole number of {Config.ImageSide}x{Config.ImageSide} RGB images ({size} bytes each).",
                nameof(pixels));
        }

        for (var image = 0; image * size < pixels.Length; image++)
        {
            var one = pixels.Slice(image * size, size);
            var found = Vector512.IsHardwareAccelerated ? Search<Simd16>(one, cancellation)
                : Vector256.IsHardwareAccelerated ? Search<Simd8>(one, cancellation)
                : Vector128.IsHardwareAccelerated ? Search<Simd4>(one, cancellation)
                : Search<Simd1>(one, cancellation);
            found.CopyTo(codes[(image * length)..]);
        }
    }

    /// <inheritdoc/>
    public byte[] Decode(ReadOnlyMemory<int> codes, CancellationToken cancellation = default)
    {
        var images = RequireCodes(codes.Span);
        var size = Config.ImageSide * Config.ImageSide * 3;
        var pixels = new byte[images * size];
        for (var image = 0; image < images; image++)
        {
            Round(Render(codes.Span.Slice(image * Config.CodesPerImage, Config.CodesPerImage), cancellation), pixels.AsSpan(image * size, size));
        }

        return pixels;
    }

    /// <inheritdoc/>
    public byte[] DecodeRows(ReadOnlyMemory<int> codes, CancellationToken cancellation = default)
    {
        Config.RequireRows(codes.Length);
        RequireKnown(codes.Span);
        var pixels = new byte[codes.Length * Config.DownsamplingFactor * Config.DownsamplingFactor * 3];
        // The last row once more below itself, so that the edge of the picture is none of the convolutions.
        int[] rows = codes.Length < Config.CodesPerImage ? [.. codes.Span, .. codes.Span[^Config.GridSide..]] : codes.ToArray();
        Round(Render(rows, cancellation), pixels);
        return pixels;
    }

    /// <inheritdoc/>
    public float[] DecodePlanes(ReadOnlyMemory<int> codes, CancellationToken cancellation = default)
    {
        var images = RequireCodes(codes.Span);
        var area = Config.ImageSide * Config.ImageSide;
        var planes = new float[images * 3 * area];
        for (var image = 0; image < images; image++)
        {
            var rendered = Render(codes.Span.Slice(image * Config.CodesPerImage, Config.CodesPerImage), cancellation);
            for (var i = 0; i < rendered.Length; i++)
            {
                planes[(((image * 3) + (i % 3)) * area) + (i / 3)] = rendered[i];
            }
        }

        return planes;
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        _team.Dispose();
        _maps.Dispose();
        _held.ForEach(file => file.Dispose());
        _encoder.ForEach(layer => layer.Dispose());
        _decoder.ForEach(layer => layer.Dispose());
        if (_search.IsValueCreated)
        {
            _search.Value.Dispose();
        }
    }

    internal static CpuTokenizer Open(
        IReadOnlyDictionary<string, StoredTensor> tensors, TokenizerConfig config, string source, int? encodingBatch, int? threads)
    {
        config.Validate();
        return new CpuTokenizer(config, new TokenizerState(tensors, source), threads ?? Environment.ProcessorCount)
        {
            EncodingBatch = encodingBatch ?? Math.Clamp(PixelsPerBatch / (config.ImageSide * config.ImageSide), 1, 64),
        };
    }

    /// <summary>
    /// One image, or its first rows as if there were no more, with vectors of a given width, before it is rounded: float [h, S, 3], nominally in
    /// [-1, 1].
    /// </summary>
    internal unsafe float[] Render<L>(ReadOnlySpan<int> codes, CancellationToken cancellation)
        where L : unmanaged, ISimd<L>
    {
        var (grid, side) = (Config.GridSide, Config.ImageSide);
        _maps.Current.Shape(codes.Length / grid, grid, Config.CodeWidth);
        for (var i = 0; i < codes.Length; i++)
        {
            var vector = _codebook.AsSpan(codes[i] * Config.CodeWidth, Config.CodeWidth);
            vector.CopyTo(new Span<float>(_maps.Current.At(i / grid, i % grid), Config.CodeWidth));
        }

        Run<L>(_decoder, cancellation);
        var image = new float[_maps.Current.Height * side * 3];
        for (var y = 0; y < _maps.Current.Height; y++)
        {
            new ReadOnlySpan<float>(_maps.Current.At(y, 0), side * 3).CopyTo(image.AsSpan(y * side * 3));
        }

        return image;
    }

    /// <summary>The encoder with vectors of a given width.</summary>
    /// <param name="pixels">uint8 [S, S, 3].</param>
    /// <param name="cancellation">Checked between layers.</param>
    /// <returns>[T].</returns>
    internal int[] Search<L>(ReadOnlySpan<byte> pixels, CancellationToken cancellation)
        where L : unmanaged, ISimd<L>
    {
        var codes = new int[Config.CodesPerImage];
        _search.Value.Run<L>(_team, Latents<L>(pixels, cancellation), codes);
        return codes;
    }

    /// <summary>What is compared with the codebook, not normed.</summary>
    /// <returns>[g, g, W], valid until the next call.</returns>
    internal unsafe FeatureMap Latents<L>(ReadOnlySpan<byte> pixels, CancellationToken cancellation)
        where L : unmanaged, ISimd<L>
    {
        var side = Config.ImageSide;
        _maps.Current.Shape(side, side, 3);
        for (var y = 0; y < side; y++)
        {
            var line = new Span<float>(_maps.Current.At(y, 0), side * 3);
            for (var i = 0; i < line.Length; i++)
            {
                line[i] = (float)(pixels[(y * side * 3) + i] / 127.5) - 1;
            }
        }

        Run<L>(_encoder, cancellation);
        return _maps.Current;
    }

    private void Run<L>(List<ITokenizerLayer> layers, CancellationToken cancellation)
        where L : unmanaged, ISimd<L>
    {
        foreach (var layer in layers)
        {
            cancellation.ThrowIfCancellationRequested();
            layer.Run<L>(_team, _maps);
        }
    }

    private float[] Render(ReadOnlySpan<int> codes, CancellationToken cancellation)
        => Vector512.IsHardwareAccelerated ? Render<Simd16>(codes, cancellation)
            : Vector256.IsHardwareAccelerated ? Render<Simd8>(codes, cancellation)
            : Vector128.IsHardwareAccelerated ? Render<Simd4>(codes, cancellation)
            : Render<Simd1>(codes, cancellation);

    /// <summary>A tensor for longer than its file is open: where it lies in a mapped file, else read.</summary>
    /// <exception cref="DataFormatException">An element that is read here is not finite; others are looked at when they are read.</exception>
    private static StoredTensor Kept(string key, StoredTensor tensor, string file, List<IDisposable> held)
    {
        if (tensor.ByteCount >= LargeTensor && tensor.Hold() is { } bytes)
        {
            held.Add(bytes);
            return new HeldTensor(bytes, tensor.Type, tensor.Shape, key, file);
        }

        var read = tensor.Read();
        FiniteNumbers.Require(key, read.Type, read.Bytes.Span, file);
        return StoredTensor.From(read);
    }

    /// <returns>Number of images.</returns>
    private int RequireCodes(ReadOnlySpan<int> codes)
    {
        if (codes.Length % Config.CodesPerImage != 0)
        {
            throw new NextPatchException($"{codes.Length} codes are not a whole number of images of {Config.CodesPerImage} codes each.");
        }

        RequireKnown(codes);
        return codes.Length / Config.CodesPerImage;
    }

    private void RequireKnown(ReadOnlySpan<int> codes)
    {
        foreach (var code in codes)
        {
            if (code < 0 || code >= Config.CodebookSize)
            {
                throw new NextPatchException(
                    $"Code {code} is outside the tokenizer's codebook of {Config.CodebookSize}; the codes probably belong to another tokenizer.");
            }
        }
    }

    /// <summary>As published: by truncation.</summary>
    private static void Round(ReadOnlySpan<float> rendered, Span<byte> pixels)
    {
        for (var i = 0; i < pixels.Length; i++)
        {
            pixels[i] = (byte)Math.Clamp((rendered[i] * 127.5f) + 128, 0, 255);
        }
    }
}
