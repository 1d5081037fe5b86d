using NextPatch.Core.Configuration;
using NextPatch.Cpu.Memory;
using NextPatch.Kernels.Attention;
using NextPatch.Kernels.Elementwise;
using NextPatch.Kernels.Gemm;
using NextPatch.Kernels.Simd;

namespace NextPatch.Cpu.Gpt;

// Shape letters: R rows, C width, H query heads, D head width, F width of the feed-forward part, V vocabulary.

/// <summary>Activations of a pass, and each thread's own working memory.</summary>
internal sealed unsafe class DecoderBuffers : IDisposable
{
    private readonly AlignedMemory _memory;
    private readonly float* _normed;
    private readonly float* _tile;
    private readonly float* _head;
    private readonly byte* _whole;
    private readonly int _rows;
    private readonly int _headRoom;
    private readonly int _wholeRoom;

    public DecoderBuffers(GptConfig config, int positions, int rows, int threads, bool isWhole)
    {
        _rows = rows;
        Stride = RowKernel<Simd1>.Padded(config.Width);
        QkvStride = PanelLayout.Units(config.QkvWidth) * PanelLayout.UnitColumns;
        MixedStride = RowKernel<Simd1>.Padded(config.HeadCount * config.HeadWidth);
        HiddenStride = (config.FfnWidth + PanelLayout.Columns - 1) / PanelLayout.Columns * PanelLayout.Columns;
        LogitStride = PanelLayout.Units(config.VocabularySize) * PanelLayout.UnitColumns;
        ResidualStride = PanelLayout.Units(config.Width) * PanelLayout.UnitColumns;
        HeadWidth = CachedAttention<Simd1, Fp32>.Padded(config.HeadWidth);
        _headRoom = (3 * HeadWidth) + CachedAttention<Simd1, Fp32>.Padded(positions);
        var perRow = ResidualStride + QkvStride + MixedStride + HiddenStride + LogitStride;
        var perThread = (rows * (Stride + PanelLayout.UnitColumns)) + _headRoom;
        _wholeRoom = isWhole ? rows * IntegerRows.Bytes(Math.Max(Math.Max(config.Width, config.FfnWidth), config.HeadCount * config.HeadWidth)) : 0;
        _memory = new AlignedMemory(
            AlignedMemory.Room<float>((nint)rows * perRow) + AlignedMemory.Room<float>((nint)threads * perThread)
            + ((nint)threads * _wholeRoom));
        Residual = _memory.Take<float>((nint)rows * ResidualStride);
        Qkv = _memory.Take<float>((nint)rows * QkvStride);
        Mixed = _memory.Take<float>((nint)rows * MixedStride);
        Hidden = _memory.Take<float>((nint)rows * HiddenStride);
        Logits = _memory.Take<float>((nint)rows * LogitStride);
        _normed = _memory.Take<float>((nint)threads * rows * Stride);
        _tile = _memory.Take<float>((nint)threads * rows * PanelLayout.UnitColumns);
        _head = _memory.Take<float>((nint)threads * _headRoom);
        _whole = _memory.Take<byte>((nint)threads * _wholeRoom);
    }

    /// <summary>Distance of rows of normed activations: C, padded.</summary>
    public int Stride { get; }

    public int ResidualStride { get; }

    public int QkvStride { get; }

    public int MixedStride { get; }

    public int HiddenStride { get; }

    public int LogitStride { get; }

    /// <summary>D, padded.</summary>
    public int HeadWidth { get; }

    /// <summary>The residual stream, [R, C].</summary>
    public float* Residual { get; }

    /// <summary>Queries, keys, values, [R, (H + 2K) D].</summary>
    public float* Qkv { get; }

    /// <summary>What attention gives, [R, H D].</summary>
    public float* Mixed { get; }

    /// <summary>silu(gate) * up, [R, F].</summary>
    public float* Hidden { get; }

    /// <summary>[R, V].</summary>
    public float* Logits { get; }

    /// <summary>A thread's normed rows, [R, C].</summary>
    public float* Normed(int thread) => _normed + ((nint)thread * _rows * Stride);

    /// <summary>A thread's columns of one unit, [R, 64].</summary>
    public float* Tile(int thread) => _tile + ((nint)thread * _rows * PanelLayout.UnitColumns);

    /// <summary>A thread's rows in whole numbers (<see cref="IntegerRows"/>).</summary>
    public byte* Whole(int thread) => _whole + ((nint)thread * _wholeRoom);

    /// <summary>A thread's query, key and result of a head, [3, padded D], and its scores behind them.</summary>
    public float* Head(int thread) => _head + ((nint)thread * _headRoom);

    public void Dispose() => _memory.Dispose();
}
