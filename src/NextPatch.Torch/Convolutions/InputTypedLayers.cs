using TorchSharp.Modules;
using static TorchSharp.torch;
using static TorchSharp.torch.nn;

namespace NextPatch.Torch.Convolutions;

/// <summary>
/// Layers that compute in the type of their input: bfloat16 images make a network of float32 weights compute in bfloat16, as under autocast, and
/// the gradients of its weights are float32.
/// </summary>
internal static class InputTypedLayers
{
    /// <summary>
    /// What <paramref name="layer"/> gives. Weights of convolutions and linear maps are rounded to the type of <paramref name="x"/>; norms take
    /// theirs as they are and sum in float32.
    /// </summary>
    /// <returns>Of the type of <paramref name="x"/>, in the caller's dispose scope.</returns>
    public static Tensor Apply(this Module<Tensor, Tensor> layer, Tensor x)
    {
        using var scope = NewDisposeScope();
        var y = layer switch
        {
            Convolution c when c.weight!.dtype != x.dtype => c.transposed
                ? functional.conv_transpose2d(x, c.weight.to(x.dtype), c.bias?.to(x.dtype), strides: c.stride, padding: c.padding)
                : functional.conv2d(x, c.weight.to(x.dtype), c.bias?.to(x.dtype), c.stride, c.padding),
            Linear l when l.weight!.dtype != x.dtype => functional.linear(x, l.weight.to(x.dtype), l.bias?.to(x.dtype)),
            _ => layer.forward(x),
        };
        return y.MoveToOuterDisposeScope();
    }
}
