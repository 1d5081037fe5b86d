using NextPatch.Core.Configuration;
using TorchSharp.Utils;
using static TorchSharp.torch;
using static TorchSharp.torch.nn;

namespace NextPatch.Torch.Gpt;

/// <summary>Feed-forward part of a block: w2(silu(w1 x) * w3 x), float [B, T, C] -> [B, T, C].</summary>
internal sealed class SwiGlu : Module<Tensor, Tensor>
{
    [ComponentName(Name = "w1")] private readonly Projection _gate;
    [ComponentName(Name = "w3")] private readonly Projection _up;
    [ComponentName(Name = "w2")] private readonly Projection _down;

    public SwiGlu(GptConfig config)
        : base(nameof(SwiGlu))
    {
        _gate = new Projection(config.Width, config.FfnWidth);
        _up = new Projection(config.Width, config.FfnWidth);
        _down = new Projection(config.FfnWidth, config.Width);
        RegisterComponents();
    }

    public override Tensor forward(Tensor x)
    {
        using var scope = NewDisposeScope();
        var hidden = functional.silu(_gate.forward(x)).mul(_up.forward(x)); // [B, T, F]
        return _down.forward(hidden).MoveToOuterDisposeScope();
    }
}
