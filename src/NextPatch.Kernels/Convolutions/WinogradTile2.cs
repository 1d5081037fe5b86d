using System.Runtime.CompilerServices;
using NextPatch.Kernels.Simd;

namespace NextPatch.Kernels.Convolutions;

/// <summary>F(2x2, 3x3): 16 products where a window takes 36; weights grow by 16 / 9.</summary>
internal readonly unsafe struct WinogradTile2 : IWinogradTile
{
    public static int Outputs => 2;

    public static int Inputs => 4;

    public static ReadOnlySpan<float> Filter => [1, 0, 0, 0.5f, 0.5f, 0.5f, 0.5f, -0.5f, 0.5f, 0, 0, 1];

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void TransformInput<L>(float* from, nint fromStep, float* to, nint toStep)
        where L : unmanaged, ISimd<L>
    {
        var (d0, d1, d2, d3) = (L.Load(from), L.Load(from + fromStep), L.Load(from + (2 * fromStep)), L.Load(from + (3 * fromStep)));
        L.Store(to, d0 - d2);
        L.Store(to + toStep, d1 + d2);
        L.Store(to + (2 * toStep), d2 - d1);
        L.Store(to + (3 * toStep), d1 - d3);
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void TransformOutput<L>(float* from, nint fromStep, float* to, nint toStep)
        where L : unmanaged, ISimd<L>
    {
        var (m0, m1, m2, m3) = (L.Load(from), L.Load(from + fromStep), L.Load(from + (2 * fromStep)), L.Load(from + (3 * fromStep)));
        L.Store(to, m0 + m1 + m2);
        L.Store(to + toStep, m1 - m2 - m3);
    }
}
