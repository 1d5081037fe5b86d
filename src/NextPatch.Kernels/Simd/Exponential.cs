using System.Runtime.CompilerServices;

namespace NextPatch.Kernels.Simd;

/// <summary>e^x within two units in the last place (Cephes' expf), the same bits for any number of lanes.</summary>
internal static class Exponential
{
    // Beyond these the result is not a normal float; softmax and SiLU want 0 and a large number there, not NaN.
    private const float Lowest = -87.3f;
    private const float Highest = 88f;
    private const float Log2E = 1.44269504f;
    private const float Ln2High = 0.693359375f;
    private const float Ln2Low = -2.12194440e-4f;
    private const float P0 = 1.9875691500e-4f, P1 = 1.3981999507e-3f, P2 = 8.3334519073e-3f, P3 = 4.1665795894e-2f, P4 = 1.6666665459e-1f,
        P5 = 5.0000001201e-1f;

    /// <summary>1.5 * 2^23: adding it rounds to a whole number, which then lies in the lowest bits.</summary>
    private const float Rounder = 12582912f;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static L Evaluate<L>(L x)
        where L : unmanaged, ISimd<L>
    {
        x = L.Min(L.Create(Highest), L.Max(L.Create(Lowest), x)); // in this order of operands NaN passes
        var shifted = L.MultiplyAdd(x, L.Create(Log2E), L.Create(Rounder));
        var n = shifted - L.Create(Rounder);
        var r = L.MultiplyAdd(n, L.Create(-Ln2Low), L.MultiplyAdd(n, L.Create(-Ln2High), x));
        var p = L.MultiplyAdd(L.Create(P0), r, L.Create(P1));
        p = L.MultiplyAdd(p, r, L.Create(P2));
        p = L.MultiplyAdd(p, r, L.Create(P3));
        p = L.MultiplyAdd(p, r, L.Create(P4));
        p = L.MultiplyAdd(p, r, L.Create(P5));
        p = L.MultiplyAdd(p, r * r, r + L.Create(1));
        return p * L.PowerOfTwo(shifted);
    }
}
