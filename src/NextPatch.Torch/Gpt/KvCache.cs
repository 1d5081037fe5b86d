using NextPatch.Core.Configuration;
using static TorchSharp.torch;

namespace NextPatch.Torch.Gpt;

/// <summary>Preallocated keys and values of every layer for one generation; owns its storage until disposed.</summary>
public sealed class KvCache : IDisposable
{
    private readonly KvCacheLayer[] _layers;

    /// <param name="config">The model; sized by its key/value heads, so grouped heads can generate.</param>
    /// <param name="batch">Rows, both halves of a guided batch included.</param>
    /// <param name="capacity">Largest number of tokens, condition included.</param>
    /// <param name="like">A tensor of the element type and device to use.</param>
    public KvCache(GptConfig config, long batch, long capacity, Tensor like)
    {
        Capacity = capacity;
        _layers = [.. Enumerable.Range(0, config.LayerCount).Select(_ => new KvCacheLayer(batch, config.KvHeads, capacity, config.HeadWidth, like))];
    }

    /// <summary>Positions that the cache can hold.</summary>
    public long Capacity { get; }

    /// <summary>Tokens cached so far.</summary>
    public long Length => _layers[0].Length;

    /// <summary>Which positions later tokens see, bool [B, 1, 1, Capacity]; null: all.</summary>
    internal Tensor? Visible { get; private set; }

    internal KvCacheLayer this[int layer] => _layers[layer];

    /// <summary>Hides the padding among the condition rows from all later tokens.</summary>
    /// <param name="isToken">bool [B, K]; null: there is none.</param>
    internal void HidePadding(Tensor? isToken)
    {
        using var scope = NewDisposeScope();
        Visible?.Dispose();
        Visible = isToken is null ? null
            : cat([isToken, ones(isToken.size(0), Capacity - isToken.size(1), ScalarType.Bool, isToken.device)], 1)
                .unsqueeze(1).unsqueeze(1).DetachFromDisposeScope();
    }

    /// <summary>Forgets everything; the storage stays.</summary>
    public void Clear()
    {
        foreach (var layer in _layers)
        {
            layer.Length = 0;
        }
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        Visible?.Dispose();
        foreach (var layer in _layers)
        {
            layer.Dispose();
        }
    }
}

/// <summary>Keys and values of one layer.</summary>
internal sealed class KvCacheLayer : IDisposable
{
    private readonly Tensor _keys;   // [B, KvHeads, Capacity, D]
    private readonly Tensor _values; // [B, KvHeads, Capacity, D]

    public KvCacheLayer(long batch, long heads, long capacity, long headWidth, Tensor like)
    {
        long[] shape = [batch, heads, capacity, headWidth];
        _keys = zeros(shape, like.dtype, like.device).DetachFromDisposeScope();
        _values = zeros(shape, like.dtype, like.device).DetachFromDisposeScope();
    }

    public long Length { get; set; }

    /// <returns>Views of everything cached so far, [B, KvHeads, Length, D], in the current dispose scope.</returns>
    public (Tensor Keys, Tensor Values) Append(Tensor keys, Tensor values)
    {
        var (tokens, capacity) = (keys.size(2), _keys.size(2));
        if (Length + tokens > capacity)
        {
            throw new InvalidOperationException($"KV cache is full: {Length} cached + {tokens} new tokens exceed capacity {capacity}.");
        }

        using (NewDisposeScope())
        {
            _keys.narrow(2, Length, tokens).copy_(keys);
            _values.narrow(2, Length, tokens).copy_(values);
        }

        Length += tokens;
        return (_keys.narrow(2, 0, Length), _values.narrow(2, 0, Length));
    }

    public void Dispose()
    {
        _keys.Dispose();
        _values.Dispose();
    }
}
