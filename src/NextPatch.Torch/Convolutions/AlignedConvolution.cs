using TorchSharp.Modules;
using static TorchSharp.torch;
using static TorchSharp.torch.nn;

namespace NextPatch.Torch.Convolutions;

/// <summary>Convolutions whose channels do not fill whole vectors.</summary>
/// <remarks>
/// libtorch 2.10 computes them wrongly on x64 processors, for kernels larger than 1x1: results where the number of inputs is above 16 and no
/// multiple of 16 (of 8 without AVX-512); the gradient of the input where the number of outputs is no such multiple, or, with stride 2, where
/// that of the inputs is above 16 and no multiple of 32. Measured against float64; it seems to read beyond what it filled, so the
/// error differs from run to run. Such a convolution is computed with more channels, whose weights are zero.
/// </remarks>
internal static class AlignedConvolution
{
    private const int VectorWidth = 16;

    /// <summary>What <paramref name="convolution"/> gives, with the right values and gradients.</summary>
    /// <param name="convolution">Its weight and bias are used, in the type of <paramref name="x"/>.</param>
    /// <param name="x">float [B, I, h, w].</param>
    /// <returns>[B, O, h', w'] in the caller's dispose scope.</returns>
    public static Tensor Forward(Conv2d convolution, Tensor x)
    {
        using var scope = NewDisposeScope();
        return Forward(convolution.weight!.to(x.dtype), convolution.bias?.to(x.dtype), x, convolution.stride, convolution.padding!)
            .MoveToOuterDisposeScope();
    }

    /// <summary>The same for loose weights.</summary>
    /// <param name="weight">float [O, I, kh, kw].</param>
    /// <param name="bias">float [O].</param>
    /// <param name="x">float [B, I, h, w].</param>
    /// <param name="stride">Down and across.</param>
    /// <param name="padding">Zeros above and below, left and right.</param>
    /// <param name="groups">With more than one, gradients are not guaranteed.</param>
    /// <returns>[B, O, h', w'] in the caller's dispose scope.</returns>
    public static Tensor Forward(Tensor weight, Tensor? bias, Tensor x, long[] stride, long[] padding, long groups = 1)
    {
        using var scope = NewDisposeScope();
        var (outputs, inputs) = (weight.size(0), weight.size(1));
        var needsGradient = x.requires_grad && is_grad_enabled();
        var moreOutputs = needsGradient ? Missing(outputs, VectorWidth) : 0;
        var moreInputs = inputs > VectorWidth ? Missing(inputs, needsGradient && stride[0] > 1 ? 2 * VectorWidth : VectorWidth) : 0;
        if (moreOutputs + moreInputs == 0 || weight.size(2) * weight.size(3) == 1 || groups > 1)
        {
            return functional.conv2d(x, weight, bias, stride, padding, groups: groups).MoveToOuterDisposeScope();
        }

        var y = functional.conv2d(
            moreInputs == 0 ? x : functional.pad(x, [0, 0, 0, 0, 0, moreInputs]),
            functional.pad(weight, [0, 0, 0, 0, 0, moreInputs, 0, moreOutputs]), // [O', I', kh, kw]
            bias is null ? null : functional.pad(bias, [0, moreOutputs]),
            stride,
            padding);                                                            // [B, O', h', w']
        return y.narrow(1, 0, outputs).MoveToOuterDisposeScope();
    }

    private static long Missing(long channels, long multiple) => (multiple - (channels % multiple)) % multiple;
}
