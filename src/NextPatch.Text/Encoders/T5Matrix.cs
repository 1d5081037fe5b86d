using System.Runtime.InteropServices;
using NextPatch.Core.Tensors;
using NextPatch.Kernels.Gemm;
using NextPatch.Kernels.Simd;

namespace NextPatch.Text.Encoders;

// Shape letters: R rows, N outputs, K inputs.

/// <summary>
/// A linear map in memory: bfloat16 stays what it is, so that large encoders take half; all else becomes float32. Sums are float32.
/// </summary>
internal sealed unsafe class T5Matrix
{
    /// <summary>Widened weights that lie ready at once, in numbers: in the last cache.</summary>
    private const int WidenedNumbers = 1 << 20;

    private readonly float[]? _floats;
    private readonly ushort[]? _halves;
    private readonly float[]? _widened;

    /// <param name="weights">[N, K].</param>
    public T5Matrix(StoredTensor weights)
    {
        (Outputs, Inputs) = ((int)weights.Shape[0], (int)weights.Shape[1]);
        var count = checked((int)weights.Count);
        if (weights.Type == ElementType.BFloat16)
        {
            _halves = GC.AllocateUninitializedArray<ushort>(count, pinned: true);
            Read<ushort>(weights, _halves);
            _widened = GC.AllocateUninitializedArray<float>(Math.Min(count, Math.Max(WidenedNumbers / Inputs, 1) * Inputs), pinned: true);
        }
        else
        {
            _floats = GC.AllocateUninitializedArray<float>(count, pinned: true);
            Read<float>(weights.As(ElementType.Float32), _floats);
        }
    }

    /// <summary>N.</summary>
    public int Outputs { get; }

    /// <summary>K.</summary>
    public int Inputs { get; }

    /// <summary>result = x W^T, or added to it.</summary>
    /// <param name="rows">R.</param>
    /// <param name="x">[R, K].</param>
    /// <param name="result">[R, N].</param>
    /// <param name="add">Whether to add.</param>
    public void Multiply(int rows, float* x, float* result, bool add)
    {
        var left = new MatrixView<Fp32>((Fp32*)x, rows, Inputs, Inputs);
        var to = new MatrixView<Fp32>((Fp32*)result, rows, Outputs, Outputs);
        var most = _widened is null ? Outputs : _widened.Length / Inputs;
        for (var first = 0; first < Outputs; first += most)
        {
            var count = Math.Min(most, Outputs - first);
            var weights = new MatrixView<Fp32>(Weights(first, count), count, Inputs, Inputs);
            BlockedGemm<Fp32, Fp32GemmTiles>.Multiply(left, weights.Transposed, to.SliceColumns(first, count), add);
        }
    }

    /// <summary>Reads in parts: one span of bytes holds no more than 2 GiB.</summary>
    private static void Read<T>(StoredTensor weights, Span<T> to)
        where T : unmanaged
    {
        const int Part = 1 << 22;
        for (var at = 0; at < to.Length; at += Part)
        {
            weights.CopyTo((long)at * sizeof(T), MemoryMarshal.AsBytes(to.Slice(at, Math.Min(Part, to.Length - at))));
        }
    }

    private Fp32* Weights(int first, int count)
    {
        if (_floats is not null)
        {
            return (Fp32*)Marshal.UnsafeAddrOfPinnedArrayElement(_floats, 0) + ((nint)first * Inputs);
        }

        BFloat16.Widen(_halves.AsSpan(first * Inputs, count * Inputs), _widened);
        return (Fp32*)Marshal.UnsafeAddrOfPinnedArrayElement(_widened!, 0);
    }
}
