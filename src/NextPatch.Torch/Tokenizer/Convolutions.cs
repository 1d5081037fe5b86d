using TorchSharp.Modules;
using static TorchSharp.torch;
using static TorchSharp.torch.nn;

namespace NextPatch.Torch.Tokenizer;

/// <summary>Convolutions whose number of outputs is no multiple of the vector width.</summary>
/// <remarks>
/// On AVX-512 processors the gradient that libtorch 2.10 gives the input of a float convolution of stride 1, with a kernel larger than 1x1, is
/// wrong unless the number of output channels is a multiple of 16 (measured against float64: 344 of 1,728 shapes; weights
/// and results are right). So such a convolution is computed with more outputs, whose weights are zero.
/// </remarks>
internal static class Convolutions
{
    private const int VectorWidth = 16;

    /// <summary>What <paramref name="convolution"/> gives, of stride 1, with the right gradient.</summary>
    /// <param name="convolution">Its weight and bias are used.</param>
    /// <param name="x">float [B, I, h, w].</param>
    /// <param name="padding">Zeros around the image.</param>
    /// <returns>[B, O, h', w'] in the caller's dispose scope.</returns>
    public static Tensor Forward(Conv2d convolution, Tensor x, long padding)
    {
        using var scope = NewDisposeScope();
        var (weight, bias) = (convolution.weight!, convolution.bias);
        var outputs = weight.size(0);
        var missing = (VectorWidth - (outputs % VectorWidth)) % VectorWidth;
        if (missing > 0 && x.requires_grad && is_grad_enabled())
        {
            var padded = functional.pad(weight, [0, 0, 0, 0, 0, 0, 0, missing]);                      // [16 k, I, kh, kw]
            var paddedBias = bias is null ? null : functional.pad(bias, [0, missing]);
            var y = functional.conv2d(x, padded, paddedBias, padding: [padding, padding]);            // [B, 16 k, h', w']
            return y.narrow(1, 0, outputs).MoveToOuterDisposeScope();
        }

        return functional.conv2d(x, weight, bias, padding: [padding, padding]).MoveToOuterDisposeScope();
    }
}
