using System.Runtime.CompilerServices;

namespace NextPatch.Kernels.Simd;

/// <summary>Sums of rows in an order that does not depend on the width of vectors: sixteen partial sums, then pairs of them.</summary>
internal static unsafe class FixedSum
{
    /// <summary>Partial sums; rows are this long or whole multiples of it.</summary>
    public const int Parts = 16;

    /// <summary>The sum of <paramref name="count"/> values.</summary>
    public static float Of<L>(int count, float* values)
        where L : unmanaged, ISimd<L> => Run<L>(count, values, isSquare: false);

    /// <summary>The sum of their squares.</summary>
    public static float OfSquares<L>(int count, float* values)
        where L : unmanaged, ISimd<L> => Run<L>(count, values, isSquare: true);

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    [SkipLocalsInit]
    private static float Run<L>(int count, float* values, bool isSquare)
        where L : unmanaged, ISimd<L>
    {
        var sums = stackalloc float[Parts];
        for (var part = 0; part < Parts; part += L.Count)
        {
            var sum = L.Create(0);
            for (var i = part; i < count; i += Parts)
            {
                var v = L.Load(values + i);
                sum = isSquare ? L.MultiplyAdd(v, v, sum) : sum + v;
            }

            L.Store(sums + part, sum);
        }

        for (var half = Parts / 2; half > 0; half /= 2)
        {
            for (var i = 0; i < half; i++)
            {
                sums[i] += sums[i + half];
            }
        }

        return sums[0];
    }
}
