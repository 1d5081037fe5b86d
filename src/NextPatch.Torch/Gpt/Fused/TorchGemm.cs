using System.Runtime.Intrinsics;
using System.Runtime.Intrinsics.X86;
using NextPatch.Kernels.Gemm;
using NextPatch.Kernels.Simd;
using static TorchSharp.torch;

namespace NextPatch.Torch.Gpt.Fused;

// Shape letters used in this file: M and N rows and columns of the result, K length of the sums.

/// <summary>
/// Matrix products for the linear maps, where libtorch's are slow: MKL, which it calls for float, runs AVX2 code on AMD processors even where they
/// have AVX-512, and oneDNN, which it calls for bfloat16, packs factors anew at every call and rounds gradients that are added up in float
/// (docs/log.md).
/// </summary>
internal static unsafe class TorchGemm
{
    /// <summary>Whether this processor is one of those where libtorch's products are slower: AMD with AVX-512.</summary>
    private static bool IsPreferred { get; } = Vector512.IsHardwareAccelerated && X86Base.IsSupported && IsAmd();

    /// <summary>Whether products of this type are ours.</summary>
    /// <param name="type">Float32 or Bf16.</param>
    public static bool IsPreferredFor(ScalarType type)
        => type == ScalarType.BFloat16 ? IsPreferredFor<Bf16>() : type == ScalarType.Float32 && IsPreferredFor<Fp32>();

    /// <summary>The type in which <see cref="Multiply(Tensor, Tensor, Tensor)"/> is given gradients of weights.</summary>
    /// <param name="type">Type of the factors.</param>
    public static ScalarType WeightGradientType(ScalarType type) => IsPreferredFor(type) ? ScalarType.Float32 : type;

    /// <summary>result = left right as the training pass computes it: here where that is preferred, else by libtorch.</summary>
    /// <param name="left">[M, K], contiguous or the transpose of a contiguous matrix.</param>
    /// <param name="right">[K, N], the same.</param>
    /// <param name="result">[M, N], contiguous; of the factors' type, or float where <see cref="WeightGradientType"/> is.</param>
    public static void Multiply(Tensor left, Tensor right, Tensor result)
    {
        if (!IsPreferredFor(left.dtype))
        {
            result.addmm_(left, right, beta: 0f, alpha: 1f);
        }
        else if (left.dtype == ScalarType.Float32)
        {
            Multiply(View<Fp32>(left), View<Fp32>(right), View<Fp32>(result), add: false);
        }
        else if (result.dtype == ScalarType.Float32)
        {
            Multiply(View<Bf16>(left), View<Bf16>(right), View<Fp32>(result), add: false);
        }
        else
        {
            Multiply(View<Bf16>(left), View<Bf16>(right), View<Bf16>(result), add: false);
        }

        static MatrixView<T> View<T>(Tensor matrix)
            where T : unmanaged
        {
            using var transposed = matrix.t();
            return matrix.is_contiguous() ? TensorMemory.View<T>(matrix) : TensorMemory.View<T>(transposed).Transposed;
        }
    }

    /// <summary>Whether products of this type are ours.</summary>
    internal static bool IsPreferredFor<T>()
        where T : unmanaged, IElement<T> => IsPreferred && (typeof(T) == typeof(Fp32) || Bf16GemmTiles.IsSupported);

    /// <summary>result = left right, or added to it, on as many threads as libtorch uses.</summary>
    /// <param name="left">[M, K]; rows or columns lie next to each other.</param>
    /// <param name="right">[K, N]; the same.</param>
    /// <param name="result">[M, N], the elements of a row next to each other; overlaps neither factor.</param>
    /// <param name="add">Whether to add to the result, which must then be in float.</param>
    internal static void Multiply<T, TResult>(MatrixView<T> left, MatrixView<T> right, MatrixView<TResult> result, bool add)
        where T : unmanaged, IElement<T>
        where TResult : unmanaged, IElement<TResult>
    {
        if (typeof(T) == typeof(Fp32))
        {
            BlockedGemm<Fp32, Fp32GemmTiles>.Multiply(left.As<Fp32>(), right.As<Fp32>(), result, add);
        }
        else
        {
            BlockedGemm<Bf16, Bf16GemmTiles>.Multiply(left.As<Bf16>(), right.As<Bf16>(), result, add);
        }
    }

    private static bool IsAmd()
    {
        var (_, ebx, ecx, edx) = X86Base.CpuId(0, 0);
        return (ebx, edx, ecx) == (0x68747541, 0x69746E65, 0x444D4163); // AuthenticAMD
    }
}
