using NextPatch.Core.Configuration;
using NextPatch.Core.Generation;
using NextPatch.Torch.Loading;
using static TorchSharp.torch;

namespace NextPatch.Torch.Tokenizer;

/// <summary>A tokenizer of libtorch behind the interface of Core.</summary>
public sealed class TorchTokenizer : IImageTokenizer
{
    private readonly ScalarType? _encodingType;

    /// <param name="network">Put into evaluation mode; disposed with this object.</param>
    /// <param name="precision">Arithmetic of the encoder: <see cref="ComputePrecision.Fp32"/> or <see cref="ComputePrecision.Bf16"/>.</param>
    /// <param name="encodingBatch">Images per call of the encoder; null = what suits the tokenizer.</param>
    public TorchTokenizer(VqTokenizer network, ComputePrecision precision = ComputePrecision.Fp32, int? encodingBatch = null)
    {
        Network = network;
        network.eval();
        network.EncodingBatch = encodingBatch ?? network.EncodingBatch;
        _encodingType = precision == ComputePrecision.Bf16 ? ScalarType.BFloat16 : null;
    }

    /// <inheritdoc/>
    public TokenizerConfig Config => Network.Config;

    /// <inheritdoc/>
    public int EncodingBatch => Network.EncodingBatch;

    /// <summary>What computes.</summary>
    internal VqTokenizer Network { get; }

    /// <inheritdoc/>
    public void Encode(ReadOnlySpan<byte> pixels, Span<int> codes, CancellationToken cancellation = default)
    {
        LargeBlocks.Keep();
        Network.ComputeType = _encodingType;
        Network.EncodePixels(pixels, codes, cancellation);
    }

    /// <inheritdoc/>
    public byte[] Decode(ReadOnlyMemory<int> codes, CancellationToken cancellation = default)
    {
        Network.ComputeType = null;
        return Network.DecodePixels(codes, cancellation);
    }

    /// <inheritdoc/>
    public float[] DecodePlanes(ReadOnlyMemory<int> codes, CancellationToken cancellation = default)
    {
        Network.ComputeType = null;
        return Network.DecodePlanes(codes, cancellation);
    }

    /// <inheritdoc/>
    public void Dispose() => Network.Dispose();
}
