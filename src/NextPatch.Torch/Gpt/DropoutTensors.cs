using System.Runtime.Intrinsics;
using NextPatch.Kernels.Elementwise;
using NextPatch.Kernels.Simd;
using NextPatch.Kernels.Threading;
using static TorchSharp.torch;

namespace NextPatch.Torch.Gpt;

// Shape letters: B images, N tokens, C width.

/// <summary>The factors of <see cref="GptDropout"/>, which kernels compute where they need them, as tensors for automatic differentiation.</summary>
internal static class DropoutTensors
{
    /// <summary><paramref name="x"/> times its factors, in the caller's dispose scope; itself where nothing is dropped.</summary>
    /// <param name="x">float, any shape; elements count in its order.</param>
    /// <param name="mask">Which elements are dropped.</param>
    public static Tensor Drop(Tensor x, DropMask mask)
    {
        if (!mask.IsActive)
        {
            return x;
        }

        using var scope = NewDisposeScope();
        var factors = new float[x.NumberOfElements];
        var rows = (factors.Length + Vector256<float>.Count - 1) / Vector256<float>.Count;
        ParallelRows.Run(rows, Vector256<float>.Count, (first, end) =>
        {
            for (var i = first * Vector256<float>.Count; i < Math.Min(factors.Length, end * Vector256<float>.Count); i++)
            {
                factors[i] = mask.Factor((uint)i);
            }
        });
        return x.mul(tensor(factors, x.shape, device: x.device)).MoveToOuterDisposeScope();
    }

    /// <summary>A residual branch as it is dropped: elements, and whole images.</summary>
    /// <param name="branch">float [B, N, C].</param>
    /// <param name="drop">How.</param>
    public static Tensor Drop(Tensor branch, BranchDrop drop)
    {
        var dropped = Drop(branch, drop.Mask);
        if (drop.SampleFactors is not { } factors)
        {
            return dropped;
        }

        using var perImage = tensor(factors, [factors.Length, 1, 1], device: branch.device); // [B, 1, 1]
        return dropped.mul(perImage);
    }
}
