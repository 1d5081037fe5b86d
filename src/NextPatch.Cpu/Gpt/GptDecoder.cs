using NextPatch.Core.Configuration;
using NextPatch.Core.Tensors;
using NextPatch.Cpu.Memory;
using NextPatch.Kernels.Attention;
using NextPatch.Kernels.Elementwise;
using NextPatch.Kernels.Gemm;
using NextPatch.Kernels.Simd;
using NextPatch.Kernels.Threading;

namespace NextPatch.Cpu.Gpt;

// Shape letters: R rows, C width, H query heads, K key/value heads, D head width, V vocabulary.

/// <summary>
/// A pass in phases that the threads share: per block the product for queries, keys and values with the norm before it, attention, output product,
/// gate and up with norm and SwiGLU, down product; then the head. Weights are read once for all rows.
/// </summary>
/// <remarks>
/// A row's bits depend on nothing but its own sequence: products (<see cref="SkinnyGemm{L, T}"/>), norms and attention take each row by itself in one
/// order. Every thread norms all rows for itself, which is cheaper than to wait for each other once more.
/// </remarks>
/// <typeparam name="L">Values computed at once.</typeparam>
/// <typeparam name="T">The weights of products.</typeparam>
/// <typeparam name="TStored">Embeddings, keys and values.</typeparam>
internal sealed unsafe class GptDecoder<L, T, TStored> : IGptDecoder
    where L : unmanaged, ISimd<L>
    where T : unmanaged, ILoadable<T>
    where TStored : unmanaged, IElement<TStored>
{
    private readonly GptWeights<T, TStored> _weights;
    private readonly DecoderBuffers _buffers;
    private readonly RotaryRows _rotary;
    private readonly KvSlots _slots;
    private readonly nint _cacheOfHead;
    private readonly DecodeRow[] _rows;
    private readonly int[] _normedPhases; // by thread
    private readonly Action<int, int> _qkv, _attention, _output, _gateUp, _down, _head;
    private int _count;
    private int _layer;
    private int _phase;

    public GptDecoder(GptConfig config, IReadOnlyDictionary<string, StoredTensor> tensors, int maxRows, int threads)
    {
        Config = config;
        _weights = new GptWeights<T, TStored>(config, tensors);
        _buffers = new DecoderBuffers(config, maxRows, threads);
        _rotary = new RotaryRows(RotaryTable.Create(config.GridSide, config.HeadWidth, conditionTokens: 1, config.RopeBase), config.HeadWidth);
        _cacheOfHead = CachedAttention<L, TStored>.Elements(config.CodesPerImage, config.HeadWidth);
        _slots = new KvSlots(AlignedMemory.Room<TStored>(_cacheOfHead * config.KvHeads * config.LayerCount));
        _rows = new DecodeRow[maxRows];
        _normedPhases = new int[threads];
        Team = new ThreadTeam(threads);
        (_qkv, _attention, _output, _gateUp, _down, _head) = (QkvPart, AttentionPart, OutputPart, GateUpPart, DownPart, HeadPart);
    }

    public GptConfig Config { get; }

    public int MaxRows => _rows.Length;

    public ThreadTeam Team { get; }

    public int TakeSlot() => _slots.Take();

    public void ReturnSlot(int slot) => _slots.Return(slot);

    public void Run(ReadOnlySpan<DecodeRow> rows)
    {
        rows.CopyTo(_rows);
        _count = rows.Length;
        for (var row = 0; row < _count; row++)
        {
            Embed(row);
        }

        for (_layer = 0; _layer < _weights.Layers.Length; _layer++)
        {
            var layer = _weights.Layers[_layer];
            Phase(layer.Qkv.Units, _qkv);
            Phase(_count * Config.KvHeads, _attention);
            Phase(layer.Output.Units, _output);
            Phase(layer.GateUp.Units, _gateUp);
            Phase(layer.Down.Units, _down);
        }

        Phase(_weights.Head.Units, _head);
    }

    public Span<float> Logits(int row) => new(_buffers.Logits + ((nint)row * _buffers.LogitStride), Config.VocabularySize);

    public void Dispose()
    {
        Team.Dispose();
        _slots.Dispose();
        _buffers.Dispose();
        _weights.Dispose();
    }

    private void Phase(int parts, Action<int, int> part)
    {
        _phase++;
        Team.Run(parts, part);
    }

    private void Embed(int row)
    {
        var residual = _buffers.Residual + ((nint)row * _buffers.ResidualStride);
        var embedding = (_rows[row].Position == 0 ? _weights.Classes : _weights.Codes) + ((nint)_rows[row].Input * Config.Width);
        for (var c = 0; c < Config.Width; c++)
        {
            residual[c] = TStored.Load<Simd1>(embedding + c).Value;
        }
    }

    private void QkvPart(int unit, int thread)
    {
        var tile = Multiply(_weights.Layers[_layer].Qkv, unit, thread, Normed(thread, _weights.Layers[_layer].AttentionNorm), _buffers.Stride);
        Put(tile, unit, _buffers.Qkv, _buffers.QkvStride);
    }

    /// <summary>One key/value head of one row, with the query heads that read it.</summary>
    private void AttentionPart(int part, int thread)
    {
        var (row, kvHead, width, heads) = (part / Config.KvHeads, part % Config.KvHeads, Config.HeadWidth, Config.HeadCount);
        var position = _rows[row].Position;
        var qkv = _buffers.Qkv + ((nint)row * _buffers.QkvStride);
        var cache = (TStored*)_slots[_rows[row].Slot] + (((_layer * Config.KvHeads) + kvHead) * _cacheOfHead);
        float* query = _buffers.Head(thread), key = query + _buffers.HeadWidth, mixed = key + _buffers.HeadWidth, scores = mixed + _buffers.HeadWidth;
        _rotary.Rotate<Fp32, Fp32, L>(position, (Fp32*)(qkv + ((heads + kvHead) * width)), (Fp32*)key, 1, 1);
        CachedAttention<L, TStored>.Append(Config.CodesPerImage, width, position, key, qkv + ((heads + Config.KvHeads + kvHead) * width), cache);
        var group = heads / Config.KvHeads;
        for (var head = kvHead * group; head < (kvHead + 1) * group; head++)
        {
            _rotary.Rotate<Fp32, Fp32, L>(position, (Fp32*)(qkv + (head * width)), (Fp32*)query, 1 / MathF.Sqrt(width), 1);
            CachedAttention<L, TStored>.Attend(Config.CodesPerImage, width, position + 1, query, cache, scores, mixed);
            var to = _buffers.Mixed + ((nint)row * _buffers.MixedStride) + (head * width);
            new ReadOnlySpan<float>(mixed, width).CopyTo(new Span<float>(to, width));
        }
    }

    private void OutputPart(int unit, int thread)
        => Add(Multiply(_weights.Layers[_layer].Output, unit, thread, _buffers.Mixed, _buffers.MixedStride), unit);

    private void GateUpPart(int unit, int thread)
    {
        var tile = Multiply(_weights.Layers[_layer].GateUp, unit, thread, Normed(thread, _weights.Layers[_layer].FeedForwardNorm), _buffers.Stride);
        for (var row = 0; row < _count; row++, tile += PanelLayout.UnitColumns)
        {
            var hidden = _buffers.Hidden + ((nint)row * _buffers.HiddenStride) + (unit * PanelLayout.Columns);
            RowKernel<L>.SwiGlu(PanelLayout.Columns, tile, tile + PanelLayout.Columns, hidden);
        }
    }

    private void DownPart(int unit, int thread)
        => Add(Multiply(_weights.Layers[_layer].Down, unit, thread, _buffers.Hidden, _buffers.HiddenStride), unit);

    private void HeadPart(int unit, int thread)
        => Put(Multiply(_weights.Head, unit, thread, Normed(thread, _weights.FinalNorm), _buffers.Stride), unit, _buffers.Logits,
            _buffers.LogitStride);

    /// <summary>A thread's copy of the normed residual stream, [R, C]: formed at its first part of a phase.</summary>
    private float* Normed(int thread, float* weight)
    {
        var normed = _buffers.Normed(thread);
        if (_normedPhases[thread] != _phase)
        {
            _normedPhases[thread] = _phase;
            for (var row = 0; row < _count; row++)
            {
                var residual = _buffers.Residual + ((nint)row * _buffers.ResidualStride);
                RowKernel<L>.Norm(Config.Width, residual, weight, (float)Config.NormEpsilon, normed + (row * _buffers.Stride));
            }
        }

        return normed;
    }

    /// <returns>[R, 64].</returns>
    private float* Multiply(PackedMatrix<T> weights, int unit, int thread, float* x, int stride)
    {
        var tile = _buffers.Tile(thread);
        weights.Multiply<L>(unit, _count, x, stride, tile);
        return tile;
    }

    private void Put(float* tile, int unit, float* to, int stride)
    {
        for (var row = 0; row < _count; row++, tile += PanelLayout.UnitColumns)
        {
            var result = new Span<float>(to + ((nint)row * stride) + (unit * PanelLayout.UnitColumns), PanelLayout.UnitColumns);
            new ReadOnlySpan<float>(tile, PanelLayout.UnitColumns).CopyTo(result);
        }
    }

    /// <summary>Adds to the residual stream; weights behind C are zeros, and so stays what lies there.</summary>
    private void Add(float* tile, int unit)
    {
        for (var row = 0; row < _count; row++, tile += PanelLayout.UnitColumns)
        {
            RowKernel<L>.Add(
                PanelLayout.UnitColumns, tile, _buffers.Residual + ((nint)row * _buffers.ResidualStride) + (unit * PanelLayout.UnitColumns));
        }
    }
}
