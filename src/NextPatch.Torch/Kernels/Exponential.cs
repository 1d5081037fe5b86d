using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;

namespace NextPatch.Torch.Kernels;

/// <summary>e^x within two units in the last place (Cephes' expf), eight at once; both forms do the same operations, so they agree bit for bit.</summary>
internal static class Exponential
{
    // Beyond these the result is not a normal float; softmax and SiLU want 0 and a large number there, not NaN.
    private const float Lowest = -87.3f;
    private const float Highest = 88f;
    private const float Log2E = 1.44269504f;
    private const float Ln2High = 0.693359375f;
    private const float Ln2Low = -2.12194440e-4f;
    private const float P0 = 1.9875691500e-4f, P1 = 1.3981999507e-3f, P2 = 8.3334519073e-3f, P3 = 4.1665795894e-2f, P4 = 1.6666665459e-1f, P5 = 5.0000001201e-1f;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector256<float> Of(Vector256<float> x)
    {
        x = Vector256.Min(Vector256.Max(x, Vector256.Create(Lowest)), Vector256.Create(Highest));
        var n = Vector256.Floor((x * Log2E) + Vector256.Create(0.5f));
        var r = x - (n * Ln2High) - (n * Ln2Low);
        var p = (((((((((Vector256.Create(P0) * r) + Vector256.Create(P1)) * r) + Vector256.Create(P2)) * r) + Vector256.Create(P3)) * r) + Vector256.Create(P4)) * r) + Vector256.Create(P5);
        p = (p * r * r) + r + Vector256<float>.One;
        return p * ((Vector256.ConvertToInt32(n) + Vector256.Create(127)) << 23).AsSingle();
    }

    public static float Of(float x)
    {
        x = MathF.Min(MathF.Max(x, Lowest), Highest);
        var n = MathF.Floor((x * Log2E) + 0.5f);
        var r = x - (n * Ln2High) - (n * Ln2Low);
        var p = (((((((((P0 * r) + P1) * r) + P2) * r) + P3) * r) + P4) * r) + P5;
        p = (p * r * r) + r + 1;
        return p * BitConverter.Int32BitsToSingle(((int)n + 127) << 23);
    }
}
