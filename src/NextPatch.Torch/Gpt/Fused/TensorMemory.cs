using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using NextPatch.Kernels.Gemm;
using NextPatch.Kernels.Simd;
using static TorchSharp.torch;

namespace NextPatch.Torch.Gpt.Fused;

/// <summary>The memory of tensors as kernels see it.</summary>
internal static unsafe class TensorMemory
{
    /// <summary>Address of a contiguous tensor on the CPU; valid while its storage lives.</summary>
    public static void* AddressOf(Tensor tensor) => Unsafe.AsPointer(ref MemoryMarshal.GetReference(tensor.bytes));

    /// <param name="matrix">[rows, columns], contiguous, on the CPU.</param>
    public static MatrixView<T> View<T>(Tensor matrix)
        where T : unmanaged => View((T*)AddressOf(matrix), matrix);

    /// <param name="start">Memory with the extents of <paramref name="matrix"/>.</param>
    /// <param name="matrix">[rows, columns].</param>
    public static MatrixView<T> View<T>(T* start, Tensor matrix)
        where T : unmanaged => new(start, checked((int)matrix.size(0)), checked((int)matrix.size(1)), (nint)matrix.size(1));

    /// <summary>The type of tensors whose elements kernels know as <typeparamref name="T"/>.</summary>
    public static ScalarType TypeOf<T>()
        where T : unmanaged, IElement<T> => typeof(T) == typeof(Fp32) ? ScalarType.Float32 : ScalarType.BFloat16;
}
