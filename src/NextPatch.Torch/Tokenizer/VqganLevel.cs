using TorchSharp.Modules;
using TorchSharp.Utils;
using static TorchSharp.torch;
using static TorchSharp.torch.nn;

namespace NextPatch.Torch.Tokenizer;

/// <summary>One resolution: residual blocks, attention after each where there is any, then the way to the next resolution.</summary>
internal sealed class VqganLevel : Module<Tensor, Tensor>
{
    [ComponentName(Name = "res")] private readonly ModuleList<VqganResidualBlock> _blocks;
    [ComponentName(Name = "attn")] private readonly ModuleList<VqganAttention> _attention;
    [ComponentName(Name = "downsample")] private readonly VqganResample? _down;
    [ComponentName(Name = "upsample")] private readonly VqganResample? _up;

    /// <param name="inputs">Channels that come in.</param>
    /// <param name="channels">Channels of the level.</param>
    /// <param name="blocks">Number of residual blocks.</param>
    /// <param name="hasAttention">After each block.</param>
    /// <param name="isDown">Where the level ends in half the size: true; in twice the size: false; as it is: null.</param>
    public VqganLevel(int inputs, int channels, int blocks, bool hasAttention, bool? isDown)
        : base(nameof(VqganLevel))
    {
        _blocks = new ModuleList<VqganResidualBlock>(
            [.. Enumerable.Range(0, blocks).Select(i => new VqganResidualBlock(i == 0 ? inputs : channels, channels))]);
        _attention = new ModuleList<VqganAttention>([.. Enumerable.Range(0, hasAttention ? blocks : 0).Select(_ => new VqganAttention(channels))]);
        _down = isDown == true ? new VqganResample(channels, isDown: true) : null;
        _up = isDown == false ? new VqganResample(channels, isDown: false) : null;
        RegisterComponents();
    }

    /// <param name="x">float [B, inputs, h, w].</param>
    /// <returns>float [B, channels, h', w'], owned by the caller's dispose scope.</returns>
    public override Tensor forward(Tensor x)
    {
        using var scope = NewDisposeScope();
        for (var i = 0; i < _blocks.Count; i++)
        {
            x = _blocks[i].forward(x);
            if (_attention.Count > 0)
            {
                x = _attention[i].forward(x);
            }
        }

        return ((_down ?? _up)?.forward(x) ?? x).MoveToOuterDisposeScope();
    }
}
