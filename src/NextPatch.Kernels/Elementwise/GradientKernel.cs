using System.Runtime.CompilerServices;
using NextPatch.Kernels.Simd;
using NextPatch.Kernels.Threading;

namespace NextPatch.Kernels.Elementwise;

/// <summary>Weight gradients and weights between float and the type of the products. Memory bounds it, not the number of lanes.</summary>
internal static unsafe class GradientKernel
{
    private const int Row = 1 << 12;

    /// <summary>sums = values, or sums + values.</summary>
    public static void Widen<T>(long count, T* values, float* sums, bool add)
        where T : unmanaged, IElement<T>
        => InRows(count, (first, length) => Widen<T, Simd8>(0, length, values + first, sums + first, add));

    /// <summary>results = values.</summary>
    public static void Narrow<T>(long count, float* values, T* results)
        where T : unmanaged, IElement<T>
        => InRows(count, (first, length) => Narrow<T, Simd8>(0, length, values + first, results + first));

    /// <summary>Sets to zero.</summary>
    public static void Clear(long count, float* values) => InRows(count, (first, length) => new Span<float>(values + first, length).Clear());

    private static void InRows(long count, Action<long, int> action) => ParallelRows.Run((int)((count + Row - 1) / Row), Row, (first, end) =>
    {
        for (var start = (long)first * Row; start < Math.Min(count, (long)end * Row); start += Row)
        {
            action(start, (int)Math.Min(Row, count - start));
        }
    });

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void Widen<T, L>(int i, int count, T* values, float* sums, bool add)
        where T : unmanaged, IElement<T>
        where L : unmanaged, ISimd<L>
    {
        for (; i <= count - L.Count; i += L.Count)
        {
            var v = T.Load<L>(values + i);
            L.Store(sums + i, add ? v + L.Load(sums + i) : v);
        }

        if (i < count)
        {
            Widen<T, Simd1>(i, count, values, sums, add);
        }
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void Narrow<T, L>(int i, int count, float* values, T* results)
        where T : unmanaged, IElement<T>
        where L : unmanaged, ISimd<L>
    {
        for (; i <= count - L.Count; i += L.Count)
        {
            T.Store(results + i, L.Load(values + i));
        }

        if (i < count)
        {
            Narrow<T, Simd1>(i, count, values, results);
        }
    }
}
