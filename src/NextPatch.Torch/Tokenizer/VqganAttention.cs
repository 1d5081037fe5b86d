using NextPatch.Torch.Convolutions;
using TorchSharp.Modules;
using TorchSharp.Utils;
using static TorchSharp.torch;
using static TorchSharp.torch.nn;

namespace NextPatch.Torch.Tokenizer;

// Shape letters used in this file: B batch, C channels, h and w rows and columns, P positions (h * w).

/// <summary>x + proj(attention(norm(x))) over all positions, one head of width C, scale 1 / sqrt(C).</summary>
internal sealed class VqganAttention : Module<Tensor, Tensor>
{
    [ComponentName(Name = "norm")] private readonly GroupNorm _norm;
    [ComponentName(Name = "q")] private readonly Conv2d _query;
    [ComponentName(Name = "k")] private readonly Conv2d _key;
    [ComponentName(Name = "v")] private readonly Conv2d _value;
    [ComponentName(Name = "proj_out")] private readonly Conv2d _output;

    public VqganAttention(int channels)
        : base(nameof(VqganAttention))
    {
        _norm = GroupNorms.CreateVqgan(channels);
        _query = Conv2d(channels, channels, 1);
        _key = Conv2d(channels, channels, 1);
        _value = Conv2d(channels, channels, 1);
        _output = Conv2d(channels, channels, 1);
        RegisterComponents();
    }

    /// <param name="x">float [B, C, h, w].</param>
    /// <returns>float [B, C, h, w], owned by the caller's dispose scope.</returns>
    public override Tensor forward(Tensor x)
    {
        using var scope = NewDisposeScope();
        var normalized = _norm.forward(x);
        // [B, 1, P, C]
        var mixed = functional.scaled_dot_product_attention(
            Positions(_query, normalized), Positions(_key, normalized), Positions(_value, normalized));
        var y = _output.Apply(mixed.squeeze(1).transpose(1, 2).reshape(x.shape)); // [B, C, h, w]
        return (x + y).MoveToOuterDisposeScope();
    }

    /// <returns>[B, 1, P, C].</returns>
    private static Tensor Positions(Conv2d projection, Tensor x) => projection.Apply(x).flatten(2).transpose(1, 2).unsqueeze(1);
}
