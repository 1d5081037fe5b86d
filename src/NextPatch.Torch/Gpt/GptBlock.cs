using NextPatch.Core.Configuration;
using NextPatch.Kernels.Elementwise;
using TorchSharp.Utils;
using static TorchSharp.torch;
using static TorchSharp.torch.nn;

namespace NextPatch.Torch.Gpt;

/// <summary>Pre-norm block: x + attention(norm(x)), then x + swiglu(norm(x)); [B, T, C] -> [B, T, C].</summary>
internal sealed class GptBlock : Module<Tensor, Tensor, KvCacheLayer?, Tensor?, GptDropout?, Tensor>
{
    [ComponentName(Name = "attention")] private readonly CausalSelfAttention _attention;
    [ComponentName(Name = "feed_forward")] private readonly SwiGlu _feedForward;
    [ComponentName(Name = "attention_norm")] private readonly RmsNorm _attentionNorm;
    [ComponentName(Name = "ffn_norm")] private readonly RmsNorm _feedForwardNorm;
    private readonly GptConfig _config;
    private readonly int _layer;

    /// <param name="config">The model.</param>
    /// <param name="layer">0 .. LayerCount - 1: drop path grows linearly with it.</param>
    public GptBlock(GptConfig config, int layer)
        : base(nameof(GptBlock))
    {
        (_config, _layer) = (config, layer);
        _attention = new CausalSelfAttention(config);
        _feedForward = new SwiGlu(config);
        _attentionNorm = new RmsNorm(config.Width, config.NormEpsilon);
        _feedForwardNorm = new RmsNorm(config.Width, config.NormEpsilon);
        RegisterComponents();
    }

    /// <summary>Type of products and activations within a block; null: that of what goes in. What goes from block to block keeps its own.</summary>
    public ScalarType? ComputeType { get; set; }

    /// <param name="x">Activations [B, T, C].</param>
    /// <param name="rotary">Factors of these T tokens, complex64 [T, 1, D/2].</param>
    /// <param name="cache">Keys and values of earlier tokens, or null.</param>
    /// <param name="visible">What each token sees, bool [B, 1, T, S]; null: itself and all before it.</param>
    /// <param name="dropout">What is dropped; null: as the module's mode says, from libtorch's generator.</param>
    /// <returns>Activations [B, T, C] in the caller's dispose scope.</returns>
    public override Tensor forward(Tensor x, Tensor rotary, KvCacheLayer? cache, Tensor? visible, GptDropout? dropout)
    {
        using var scope = NewDisposeScope();
        var attended = _attention.forward(Rounded(_attentionNorm.forward(x)), rotary, cache, visible, dropout?.AttentionWeights(_layer));
        var h = x.add(Drop(attended, _config.ResidualDropout, dropout?.AttentionBranch(_layer)));
        var fed = _feedForward.forward(Rounded(_feedForwardNorm.forward(h)));
        return h.add(Drop(fed, _config.FfnDropout, dropout?.FeedForwardBranch(_layer))).MoveToOuterDisposeScope();
    }

    private Tensor Rounded(Tensor x) => ComputeType is { } type && type != x.dtype ? x.to_type(type) : x;

    /// <summary>Drops elements and whole residual branches per sample, and scales those that stay.</summary>
    private Tensor Drop(Tensor branch, double probability, BranchDrop? drop)
    {
        if (drop is { } given)
        {
            return DropoutTensors.Drop(branch, given);
        }

        var dropped = functional.dropout(branch, probability, training);
        var dropPath = GptDropout.DropPathOf(_config, _layer);
        if (!training || dropPath == 0)
        {
            return dropped;
        }

        var keep = 1 - dropPath;
        var kept = rand(branch.size(0), 1, 1, dtype: branch.dtype, device: branch.device).add_(keep).floor_(); // [B, 1, 1] of 0 or 1
        return dropped.div(keep).mul(kept);
    }
}
