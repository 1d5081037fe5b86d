using NextPatch.Core.Configuration;
using NextPatch.Torch.Loading;
using NextPatch.Torch.Tokenizer;
using static TorchSharp.torch;

namespace NextPatch.Cli.Extraction;

// Shape letters used in this file: n squares in this call, B squares per call of the network, S pixels per side, T codes of a square.

/// <summary>Squares of pixels to codes, in batches of one size whatever the number: libtorch picks other kernels for other row counts.</summary>
internal sealed class CodeEncoder : IDisposable
{
    // Small networks fill the processor only with many images; VQGAN's do with few, whose activations stay nearer.
    private const int PixelsPerBatch = 64 * 32 * 32;

    private readonly VqTokenizer _tokenizer;
    private readonly bool _isChannelsLast; // faster from about 64 channels on, slower below
    private readonly int _squareBytes;

    /// <param name="tokenizer">Disposed with this object.</param>
    /// <param name="batchSize">B; null = what suits the tokenizer.</param>
    /// <param name="isBf16">Whether the encoder computes in bfloat16; latents are compared with the codebook in fp32 all the same.</param>
    public CodeEncoder(VqTokenizer tokenizer, int? batchSize, bool isBf16)
    {
        _tokenizer = tokenizer;
        var side = tokenizer.Config.ImageSide;
        BatchSize = batchSize ?? (tokenizer.Config.Architecture == TokenizerArchitecture.Small ? 64 : Math.Clamp(PixelsPerBatch / (side * side), 1, 64));
        _squareBytes = side * side * 3;
        _isChannelsLast = tokenizer.Config.Architecture == TokenizerArchitecture.Vqgan;
        tokenizer.eval();
        LargeBlocks.Keep();
        tokenizer.ComputeType = isBf16 ? ScalarType.BFloat16 : null;
    }

    /// <summary>B.</summary>
    public int BatchSize { get; }

    /// <summary>T.</summary>
    public int CodesPerSquare => _tokenizer.Config.CodesPerImage;

    /// <param name="pixels">uint8 [n, S, S, 3].</param>
    /// <param name="codes">[n, T].</param>
    /// <param name="cancellation">Checked between batches.</param>
    public void Encode(ReadOnlySpan<byte> pixels, Span<int> codes, CancellationToken cancellation)
    {
        using var inference = inference_mode();
        for (; pixels.Length > 0; pixels = pixels[Math.Min(pixels.Length, BatchSize * _squareBytes)..])
        {
            cancellation.ThrowIfCancellationRequested();
            var count = Math.Min(BatchSize, pixels.Length / _squareBytes);
            EncodeBatch(pixels[..(count * _squareBytes)], codes[..(count * CodesPerSquare)]);
            codes = codes[(count * CodesPerSquare)..];
        }
    }

    public void Dispose() => _tokenizer.Dispose();

    private void EncodeBatch(ReadOnlySpan<byte> pixels, Span<int> codes)
    {
        using var scope = NewDisposeScope();
        var count = pixels.Length / _squareBytes;
        var images = ImageTensors.FromPixels(pixels, _tokenizer.Config.ImageSide);                        // [n, 3, S, S]
        if (count < BatchSize)
        {
            images = cat([images, zeros(BatchSize - count, 3, images.size(2), images.size(3))]);          // [B, 3, S, S]
        }

        if (_isChannelsLast)
        {
            // The same shape with another order in memory, which every layer then keeps.
            images = images.permute(0, 2, 3, 1).contiguous().permute(0, 3, 1, 2);
        }

        var latents = _tokenizer.Latents(images);                                                         // [B, W, h, w]
        var chosen = _tokenizer.Quantize(latents).narrow(0, 0, count);                                    // [n, T]
        chosen.to(ScalarType.Int32).data<int>().ToArray().CopyTo(codes);
    }
}
