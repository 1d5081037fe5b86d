using System.Runtime.CompilerServices;

namespace NextPatch.Torch.Kernels;

/// <summary>e^x within two units in the last place (Cephes' expf), the same bits for any number of lanes.</summary>
internal static class Exponential
{
    // Beyond these the result is not a normal float; softmax and SiLU want 0 and a large number there, not NaN.
    private const float Lowest = -87.3f;
    private const float Highest = 88f;
    private const float Log2E = 1.44269504f;
    private const float Ln2High = 0.693359375f;
    private const float Ln2Low = -2.12194440e-4f;
    private const float P0 = 1.9875691500e-4f, P1 = 1.3981999507e-3f, P2 = 8.3334519073e-3f, P3 = 4.1665795894e-2f, P4 = 1.6666665459e-1f, P5 = 5.0000001201e-1f;

    /// <summary>1.5 * 2^23: adding it rounds to a whole number, which then lies in the lowest bits.</summary>
    private const float Rounder = 12582912f;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static L Of<L>(L x)
        where L : unmanaged, ILanes<L>
    {
        x = L.Min(L.Of(Highest), L.Max(L.Of(Lowest), x)); // in this order of operands NaN passes
        var shifted = L.MultiplyAdd(x, L.Of(Log2E), L.Of(Rounder));
        var n = shifted - L.Of(Rounder);
        var r = L.MultiplyAdd(n, L.Of(-Ln2Low), L.MultiplyAdd(n, L.Of(-Ln2High), x));
        var p = L.MultiplyAdd(L.Of(P0), r, L.Of(P1));
        p = L.MultiplyAdd(p, r, L.Of(P2));
        p = L.MultiplyAdd(p, r, L.Of(P3));
        p = L.MultiplyAdd(p, r, L.Of(P4));
        p = L.MultiplyAdd(p, r, L.Of(P5));
        p = L.MultiplyAdd(p, r * r, r + L.Of(1));
        return p * L.PowerOfTwo(shifted);
    }
}
