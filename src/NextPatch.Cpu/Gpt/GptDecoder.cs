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
/// A row's bits depend on nothing but its own sequence: products (<see cref="SkinnyGemm{L, T}"/>, <see cref="IntegerGemm{L}"/>), norms and attention
/// take each row by itself in one order. Every thread norms (and rounds) all rows for itself, which is cheaper than to wait for each other once
/// more.
/// </remarks>
/// <typeparam name="L">Values computed at once.</typeparam>
/// <typeparam name="T">The weights of products.</typeparam>
/// <typeparam name="TStored">Embeddings, keys and values.</typeparam>
internal sealed unsafe partial class GptDecoder<L, T, TStored> : IGptDecoder
    where L : unmanaged, ISimd<L>
    where T : unmanaged
    where TStored : unmanaged, IElement<TStored>
{
    private readonly GptWeights<T, TStored> _weights;
    private readonly DecoderBuffers _buffers;
    private readonly RotaryRows _rotary;
    private readonly KvSlots _slots;
    private readonly PromptCache<L, TStored> _prompts;
    private readonly CaptionEmbedder<L>? _captions;
    private readonly nint _cacheOfHead;
    private readonly nint _cacheOfSlot;
    private readonly bool _isPlain;
    private readonly DecodeRow[] _rows;
    private readonly int[] _preparedPhases; // by thread
    private readonly Action<int, int> _qkv, _attention, _output, _gateUp, _down, _head;
    private int _count;
    private int _layer;
    private int _phase;

    public GptDecoder(GptConfig config, IReadOnlyDictionary<string, StoredTensor> tensors, int maxRows, int threads, bool isPlain)
    {
        (Config, _isPlain) = (config, isPlain);
        _weights = new GptWeights<T, TStored>(config, tensors);
        _prompts = new PromptCache<L, TStored>(config.CodesPerImage, config.HeadWidth, config.ConditionTokens, isPlain);
        _unconditional = new EncodedPrompt?[config.ConditionTokens + 1];
        _buffers = new DecoderBuffers(config, _prompts.Capacity, maxRows, threads, PackedMatrix<T>.IsInteger);
        _rotary = new RotaryRows(RotaryTable.Create(config.GridSide, config.HeadWidth, conditionTokens: 1, config.RopeBase), config.HeadWidth);
        _cacheOfHead = CachedAttention<L, TStored>.Elements(_prompts.Capacity, config.HeadWidth);
        _cacheOfSlot = AlignedMemory.Room<TStored>(_cacheOfHead * config.KvHeads * config.LayerCount);
        _slots = new KvSlots(_cacheOfSlot + AlignedMemory.Room<float>(config.Text is null ? 0 : SumsOfSlot));
        _rows = new DecodeRow[maxRows];
        _preparedPhases = new int[threads];
        Team = new ThreadTeam(threads);
        _captions = config.Text is null ? null : new CaptionEmbedder<L>(tensors, Team);
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
        RunBlocks();
        Phase(_weights.Head.Units, _head);
    }

    private void RunBlocks()
    {
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
    }

    public Span<float> Logits(int row) => new(_buffers.Logits + ((nint)row * _buffers.LogitStride), Config.VocabularySize);

    public void Dispose()
    {
        Team.Dispose();
        _captions?.Dispose();
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
        if (_rows[row].Prompt is { } prompt)
        {
            prompt.Row(_rows[row].Input).CopyTo(new Span<float>(residual, Config.Width));
            return;
        }

        var embedding = (_rows[row].Position == 0 ? _weights.Classes : _weights.Codes) + ((nint)_rows[row].Input * Config.Width);
        for (var c = 0; c < Config.Width; c++)
        {
            residual[c] = TStored.Load<Simd1>(embedding + c).Value;
        }
    }

    private void QkvPart(int unit, int thread)
    {
        var layer = _weights.Layers[_layer];
        var tile = Multiply(layer.Qkv, unit, thread, _buffers.Residual, _buffers.ResidualStride, layer.AttentionNorm);
        Put(tile, unit, _buffers.Qkv, _buffers.QkvStride);
    }

    /// <summary>One key/value head of one row, with the query heads that read it.</summary>
    private void AttentionPart(int part, int thread)
    {
        var (row, kvHead, width, heads) = (part / Config.KvHeads, part % Config.KvHeads, Config.HeadWidth, Config.HeadCount);
        if (_rows[row].Prompt is not null)
        {
            TakePrompt(row, kvHead, thread);
            return;
        }

        var (position, slot) = (_rows[row].Position, _rows[row].Slot);
        var before = _prompts.Before(slot);
        var qkv = _buffers.Qkv + ((nint)row * _buffers.QkvStride);
        var cache = CacheOf(slot, kvHead);
        float* query = _buffers.Head(thread), key = query + _buffers.HeadWidth, mixed = key + _buffers.HeadWidth, scores = mixed + _buffers.HeadWidth;
        _rotary.Rotate<Fp32, Fp32, L>(position, (Fp32*)(qkv + ((heads + kvHead) * width)), (Fp32*)key, 1, 1);
        CachedAttention<L, TStored>.Append(
            _prompts.Capacity, width, before + position, key, qkv + ((heads + Config.KvHeads + kvHead) * width), cache);
        var group = heads / Config.KvHeads;
        for (var head = kvHead * group; head < (kvHead + 1) * group; head++)
        {
            _rotary.Rotate<Fp32, Fp32, L>(position, (Fp32*)(qkv + (head * width)), (Fp32*)query, 1 / MathF.Sqrt(width), 1);
            CachedAttention<L, TStored>.Attend(
                _prompts.Capacity, width, before + position + 1, query, cache, scores, mixed, _prompts.FirstScore(slot));
            PutMixed(row, head, mixed);
        }
    }

    private void PutMixed(int row, int head, float* mixed)
    {
        var to = _buffers.Mixed + ((nint)row * _buffers.MixedStride) + (head * Config.HeadWidth);
        new ReadOnlySpan<float>(mixed, Config.HeadWidth).CopyTo(new Span<float>(to, Config.HeadWidth));
    }

    private TStored* CacheOf(int slot, int kvHead) => (TStored*)_slots[slot] + (((_layer * Config.KvHeads) + kvHead) * _cacheOfHead);

    private void OutputPart(int unit, int thread)
        => Add(Multiply(_weights.Layers[_layer].Output, unit, thread, _buffers.Mixed, _buffers.MixedStride), unit);

    private void GateUpPart(int unit, int thread)
    {
        var layer = _weights.Layers[_layer];
        var tile = Multiply(layer.GateUp, unit, thread, _buffers.Residual, _buffers.ResidualStride, layer.FeedForwardNorm);
        for (var row = 0; row < _count; row++, tile += PanelLayout.UnitColumns)
        {
            var hidden = _buffers.Hidden + ((nint)row * _buffers.HiddenStride) + (unit * PanelLayout.Columns);
            RowKernel<L>.SwiGlu(PanelLayout.Columns, tile, tile + PanelLayout.Columns, hidden);
        }
    }

    private void DownPart(int unit, int thread)
        => Add(Multiply(_weights.Layers[_layer].Down, unit, thread, _buffers.Hidden, _buffers.HiddenStride), unit);

    private void HeadPart(int unit, int thread)
    {
        var tile = Multiply(_weights.Head, unit, thread, _buffers.Residual, _buffers.ResidualStride, _weights.FinalNorm);
        Put(tile, unit, _buffers.Logits, _buffers.LogitStride);
    }

    /// <param name="weights">The factor.</param>
    /// <param name="unit">Which columns.</param>
    /// <param name="thread">Has a copy of the rows as they are multiplied, formed at its first part of a phase.</param>
    /// <param name="rows">[R, K].</param>
    /// <param name="stride">Their distance.</param>
    /// <param name="norm">Weight of the norm before the product; null: there is none.</param>
    /// <returns>[R, 64].</returns>
    private float* Multiply(PackedMatrix<T> weights, int unit, int thread, float* rows, int stride, float* norm = null)
    {
        var isFirst = _preparedPhases[thread] != _phase;
        _preparedPhases[thread] = _phase;
        if (norm != null)
        {
            var normed = _buffers.Normed(thread);
            for (var row = 0; isFirst && row < _count; row++)
            {
                RowKernel<L>.Norm(Config.Width, rows + ((nint)row * stride), norm, (float)Config.NormEpsilon, normed + ((nint)row * _buffers.Stride));
            }

            rows = normed;
            stride = _buffers.Stride;
        }

        void* x = rows;
        if (PackedMatrix<T>.IsInteger)
        {
            x = _buffers.Whole(thread);
            for (var row = 0; isFirst && row < _count; row++)
            {
                IntegerRows.Quantize<L>(weights.Depth, rows + ((nint)row * stride), (byte*)x + ((nint)row * IntegerRows.Bytes(weights.Depth)));
            }
        }

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
