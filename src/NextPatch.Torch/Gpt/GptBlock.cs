using NextPatch.Core.Configuration;
using TorchSharp.Utils;
using static TorchSharp.torch;
using static TorchSharp.torch.nn;

namespace NextPatch.Torch.Gpt;

/// <summary>Pre-norm block: x + attention(norm(x)), then x + swiglu(norm(x)); [B, T, C] -> [B, T, C].</summary>
internal sealed class GptBlock : Module<Tensor, Tensor, KvCacheLayer?, Tensor>
{
    [ComponentName(Name = "attention")] private readonly CausalSelfAttention _attention;
    [ComponentName(Name = "feed_forward")] private readonly SwiGlu _feedForward;
    [ComponentName(Name = "attention_norm")] private readonly RmsNorm _attentionNorm;
    [ComponentName(Name = "ffn_norm")] private readonly RmsNorm _feedForwardNorm;
    private readonly double _dropPath;

    /// <param name="config">The model.</param>
    /// <param name="layer">0 .. LayerCount - 1: drop path grows linearly with it.</param>
    public GptBlock(GptConfig config, int layer)
        : base(nameof(GptBlock))
    {
        _attention = new CausalSelfAttention(config);
        _feedForward = new SwiGlu(config);
        _attentionNorm = new RmsNorm(config.Width, config.NormEpsilon);
        _feedForwardNorm = new RmsNorm(config.Width, config.NormEpsilon);
        _dropPath = config.LayerCount > 1 ? config.DropPath * layer / (config.LayerCount - 1) : 0;
        RegisterComponents();
    }

    public override Tensor forward(Tensor x, Tensor rotary, KvCacheLayer? cache)
    {
        using var scope = NewDisposeScope();
        var h = x.add(DropPath(_attention.forward(_attentionNorm.forward(x), rotary, cache)));
        return h.add(DropPath(_feedForward.forward(_feedForwardNorm.forward(h)))).MoveToOuterDisposeScope();
    }

    /// <summary>Drops a whole residual branch per sample in training, and scales the ones that stay.</summary>
    private Tensor DropPath(Tensor branch)
    {
        if (!training || _dropPath == 0)
        {
            return branch;
        }

        var keep = 1 - _dropPath;
        var kept = rand(branch.size(0), 1, 1, dtype: branch.dtype, device: branch.device).add_(keep).floor_(); // [B, 1, 1] of 0 or 1
        return branch.div(keep).mul(kept);
    }
}
