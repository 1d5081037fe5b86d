using NextPatch.Core.Configuration;
using NextPatch.Kernels.Simd;
using TorchSharp.Utils;
using static TorchSharp.torch;
using static TorchSharp.torch.nn;

namespace NextPatch.Torch.Gpt;

// Shape letters: B batch, T tokens in this call, S tokens visible (cached + T), C width, H query heads, K key/value heads, D head width.

/// <summary>Causal self-attention with grouped key/value heads and rotary positions.</summary>
internal sealed class CausalSelfAttention : Module<Tensor, Tensor, KvCacheLayer?, Tensor?, DropMask?, Tensor>
{
    [ComponentName(Name = "wqkv")] private readonly Projection _qkv;
    [ComponentName(Name = "wo")] private readonly Projection _output;
    private readonly GptConfig _config;

    public CausalSelfAttention(GptConfig config)
        : base(nameof(CausalSelfAttention))
    {
        _config = config;
        _qkv = new Projection(config.Width, config.QkvWidth);
        _output = new Projection((long)config.HeadCount * config.HeadWidth, config.Width);
        RegisterComponents();
    }

    /// <param name="x">Activations [B, T, C].</param>
    /// <param name="rotary">Factors of these T tokens, complex64 [T, 1, D/2].</param>
    /// <param name="cache">Keys and values of earlier tokens, or null to attend within <paramref name="x"/> only.</param>
    /// <param name="visible">What each token sees, bool [B, 1, T, S]; null: itself and all before it.</param>
    /// <param name="drop">Dropout of attention weights; null: as the module's mode says, from libtorch's generator.</param>
    /// <returns>Activations [B, T, C] in the caller's dispose scope.</returns>
    public override Tensor forward(Tensor x, Tensor rotary, KvCacheLayer? cache, Tensor? visible, DropMask? drop)
    {
        using var scope = NewDisposeScope();
        var (batch, tokens) = (x.size(0), x.size(1));
        int heads = _config.HeadCount, kvHeads = _config.KvHeads, headWidth = _config.HeadWidth;

        // Queries and keys lie side by side, so one rotation serves both.
        var qkv = _qkv.forward(x).view(batch, tokens, heads + (2 * kvHeads), headWidth);                // [B, T, H + 2K, D]
        var qk = RotaryEmbedding2d.Rotate(qkv.narrow(2, 0, heads + kvHeads), rotary);                   // [B, T, H + K, D]
        var q = qk.narrow(2, 0, heads).transpose(1, 2);                                                 // [B, H, T, D]
        var k = qk.narrow(2, heads, kvHeads).transpose(1, 2);                                           // [B, K, T, D]
        var v = qkv.narrow(2, heads + kvHeads, kvHeads).transpose(1, 2);                                // [B, K, T, D]
        if (cache is not null)
        {
            (k, v) = cache.Append(k, v);                                                                // [B, K, S, D]
        }

        if (kvHeads != heads)
        {
            // Query head h reads key/value head h / (H / K).
            (k, v) = (k.repeat_interleave(heads / kvHeads, 1), v.repeat_interleave(heads / kvHeads, 1)); // [B, H, S, D]
        }

        // A single new token may see the whole cache, so only the multi-token case needs the causal mask.
        var y = drop is { IsActive: true } mask
            ? Attend(q, k, v, visible ?? ones(tokens, tokens, ScalarType.Bool, q.device).tril(), mask)
            : functional.scaled_dot_product_attention(
                q, k, v, visible, p: training && drop is null ? _config.AttentionDropout : 0, is_casual: visible is null && tokens > 1);
        y = y.transpose(1, 2).reshape(batch, tokens, heads * headWidth);                                // [B, T, H D]
        return _output.forward(y).MoveToOuterDisposeScope();
    }

    /// <summary>Attention without a cache, with its weights laid out, because libtorch's own takes no factors of dropout.</summary>
    private static Tensor Attend(Tensor q, Tensor k, Tensor v, Tensor visible, DropMask drop)
    {
        var scores = q.matmul(k.transpose(2, 3)).mul(1 / Math.Sqrt(q.size(3)));                         // [B, H, T, T]
        var weights = scores.masked_fill(visible.logical_not(), double.NegativeInfinity).softmax(-1, ScalarType.Float32);
        return DropoutTensors.Drop(weights, drop).to_type(v.dtype).matmul(v);                           // [B, H, T, D]
    }
}
