using System.Runtime.CompilerServices;
using NextPatch.Kernels.Simd;

namespace NextPatch.Kernels.Convolutions;

/// <summary>F(4x4, 3x3) at 0, 1, -1, 2, -2: 36 products where a window takes 144; weights grow fourfold.</summary>
internal readonly unsafe struct WinogradTile4 : IWinogradTile
{
    public static int Outputs => 4;

    public static int Inputs => 6;

    public static ReadOnlySpan<float> Filter =>
    [
        1 / 4f, 0, 0,
        -1 / 6f, -1 / 6f, -1 / 6f,
        -1 / 6f, 1 / 6f, -1 / 6f,
        1 / 24f, 1 / 12f, 1 / 6f,
        1 / 24f, -1 / 12f, 1 / 6f,
        0, 0, 1,
    ];

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void TransformInput<L>(float* from, nint fromStep, float* to, nint toStep)
        where L : unmanaged, ISimd<L>
    {
        var (d0, d1, d2) = (L.Load(from), L.Load(from + fromStep), L.Load(from + (2 * fromStep)));
        var (d3, d4, d5) = (L.Load(from + (3 * fromStep)), L.Load(from + (4 * fromStep)), L.Load(from + (5 * fromStep)));
        L two = L.Create(2), four = L.Create(4), minusFour = L.Create(-4), minusFive = L.Create(-5);
        L.Store(to, L.MultiplyAdd(four, d0, L.MultiplyAdd(minusFive, d2, d4)));
        L even = L.MultiplyAdd(minusFour, d2, d4), odd = L.MultiplyAdd(minusFour, d1, d3);
        L.Store(to + toStep, even + odd);
        L.Store(to + (2 * toStep), even - odd);
        (even, odd) = (d4 - d2, two * (d3 - d1));
        L.Store(to + (3 * toStep), even + odd);
        L.Store(to + (4 * toStep), even - odd);
        L.Store(to + (5 * toStep), L.MultiplyAdd(four, d1, L.MultiplyAdd(minusFive, d3, d5)));
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void TransformOutput<L>(float* from, nint fromStep, float* to, nint toStep)
        where L : unmanaged, ISimd<L>
    {
        var (m0, m1, m2) = (L.Load(from), L.Load(from + fromStep), L.Load(from + (2 * fromStep)));
        var (m3, m4, m5) = (L.Load(from + (3 * fromStep)), L.Load(from + (4 * fromStep)), L.Load(from + (5 * fromStep)));
        L sum1 = m1 + m2, difference1 = m1 - m2, sum2 = m3 + m4, difference2 = m3 - m4;
        L.Store(to, m0 + sum1 + sum2);
        L.Store(to + toStep, L.MultiplyAdd(L.Create(2), difference2, difference1));
        L.Store(to + (2 * toStep), L.MultiplyAdd(L.Create(4), sum2, sum1));
        L.Store(to + (3 * toStep), L.MultiplyAdd(L.Create(8), difference2, difference1 + m5));
    }
}
