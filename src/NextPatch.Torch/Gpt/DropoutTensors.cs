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
        var factors = x.device.type == TorchSharp.DeviceType.CPU ? Computed(mask, x.NumberOfElements) : Hashed(mask, x.NumberOfElements, x.device);
        return x.mul(factors.view(x.shape)).MoveToOuterDisposeScope();
    }

    /// <summary>The factors of the first elements by the mask itself, float [n] in the caller's dispose scope.</summary>
    internal static Tensor Computed(DropMask mask, long count)
    {
        var factors = new float[count];
        var rows = (factors.Length + Vector256<float>.Count - 1) / Vector256<float>.Count;
        ParallelRows.Run(rows, Vector256<float>.Count, (first, end) =>
        {
            for (var i = first * Vector256<float>.Count; i < Math.Min(factors.Length, end * Vector256<float>.Count); i++)
            {
                factors[i] = mask.Factor((uint)i);
            }
        });
        return tensor(factors);
    }

    /// <summary>The same bits by operations of a device, where moving them there would take longer than computing them.</summary>
    /// <remarks>32-bit numbers in 64-bit ones, because libtorch has no unsigned products. The second factor is the one that is equal modulo 2^32 and
    /// small enough for no product to leave 63 bits.</remarks>
    internal static Tensor Hashed(DropMask mask, long count, Device device)
    {
        using var scope = NewDisposeScope();
        var (start, first, second, dropBelow, scale) = mask.Terms;
        Tensor Number(long value) => tensor(value, ScalarType.Int64, device);
        var (low, shift15, shift16) = (Number(uint.MaxValue), Number(15), Number(16));
        var h = arange(start, start + count, ScalarType.Int64, device).bitwise_and_(low).bitwise_xor_(Number(first)); // [n]
        void Round()
        {
            h.bitwise_xor_(h.bitwise_right_shift(shift16)).mul_(0x7FEB352D).bitwise_and_(low);
            h.bitwise_xor_(h.bitwise_right_shift(shift15)).mul_(unchecked((int)0x846CA68B)).bitwise_and_(low);
            h.bitwise_xor_(h.bitwise_right_shift(shift16));
        }

        Round();
        h.add_(second).bitwise_and_(low);
        Round();
        return h.ge(dropBelow).to_type(ScalarType.Float32).mul_(scale).MoveToOuterDisposeScope();
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
