using TorchSharp.Modules;
using TorchSharp.Utils;
using static TorchSharp.torch;
using static TorchSharp.torch.nn;

namespace NextPatch.Torch.Gpt;

/// <summary>Root-mean-square norm over the last axis, float or bfloat16 [..., C]; normalises in float, casts back, then scales (LlamaGen).</summary>
internal sealed class RmsNorm : Module<Tensor, Tensor>
{
    [ComponentName(Name = "weight")] private readonly Parameter _weight; // [C]
    private readonly double _epsilon;

    public RmsNorm(long width, double epsilon)
        : base(nameof(RmsNorm))
    {
        _weight = Parameter(ones(width));
        _epsilon = epsilon;
        RegisterComponents();
    }

    public override Tensor forward(Tensor x)
    {
        using var scope = NewDisposeScope();
        var wide = x.dtype == ScalarType.Float32 ? x : x.to_type(ScalarType.Float32);
        var inverse = wide.square().mean([-1], keepdim: true).add_(_epsilon).rsqrt(); // [..., 1]
        var normed = wide.mul(inverse);
        return (x.dtype == ScalarType.Float32 ? normed : normed.to_type(x.dtype)).mul(_weight).MoveToOuterDisposeScope();
    }
}
