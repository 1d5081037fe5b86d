using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;

namespace NextPatch.Torch.Kernels;

/// <summary>Weight gradients and weights between float and the type of the products.</summary>
internal static unsafe class GradientKernel
{
    private const int Row = 1 << 12;

    /// <summary>sums = values, or sums + values.</summary>
    public static void Widen<T>(long count, T* values, float* sums, bool add)
        where T : unmanaged, IElement<T>
        => RowSplit.Run((int)((count + Row - 1) / Row), Row, [MethodImpl(MethodImplOptions.AggressiveOptimization)] (first, end) =>
        {
            var (i, last) = ((long)first * Row, Math.Min(count, (long)end * Row));
            for (; i <= last - 8; i += 8)
            {
                var v = T.Load(values + i);
                (add ? v + Vector256.Load(sums + i) : v).Store(sums + i);
            }

            for (; i < last; i++)
            {
                sums[i] = T.Widen(values[i]) + (add ? sums[i] : 0);
            }
        });

    /// <summary>Sets to zero.</summary>
    public static void Clear(long count, float* values)
        => RowSplit.Run((int)((count + Row - 1) / Row), Row, (first, end) => new Span<float>(values + ((long)first * Row), (int)(Math.Min(count, (long)end * Row) - ((long)first * Row))).Clear());

    public static void Narrow<T>(long count, float* values, T* results)
        where T : unmanaged, IElement<T>
        => RowSplit.Run((int)((count + Row - 1) / Row), Row, [MethodImpl(MethodImplOptions.AggressiveOptimization)] (first, end) =>
        {
            var (i, last) = ((long)first * Row, Math.Min(count, (long)end * Row));
            for (; i <= last - 8; i += 8)
            {
                T.Store(results + i, Vector256.Load(values + i));
            }

            for (; i < last; i++)
            {
                results[i] = T.Narrow(values[i]);
            }
        });
}
