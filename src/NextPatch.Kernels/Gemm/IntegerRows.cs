using System.Runtime.CompilerServices;
using NextPatch.Kernels.Simd;

namespace NextPatch.Kernels.Gemm;

// Shape letters: K length of a row.

/// <summary>
/// Rows in whole numbers of sixteen bits with a scale for every <see cref="PanelLayout.BlockDepth"/> of them: what <see cref="IntegerGemm{L}"/>
/// multiplies. Filled up with zeros to whole blocks; the scales lie behind.
/// </summary>
internal static unsafe class IntegerRows
{
    private const int Largest = short.MaxValue;

    /// <summary>1.5 * 2^23: adding it rounds to a whole number, which then lies in the lowest bits.</summary>
    private const float Rounder = 12582912f;

    private const int CacheLine = 64;

    /// <summary>Bytes that a row takes, whole cache lines.</summary>
    public static int Bytes(int depth)
        => ((PanelLayout.Blocks(depth) * ((PanelLayout.BlockDepth * sizeof(short)) + sizeof(float))) + CacheLine - 1) / CacheLine * CacheLine;

    /// <summary>The scales of a row.</summary>
    public static float* Scales(byte* row, int depth) => (float*)(row + (PanelLayout.Blocks(depth) * PanelLayout.BlockDepth * sizeof(short)));

    /// <summary>
    /// Rounds each value to the nearest multiple of its block's scale, 1 / 32767 of the largest. A block with a value that is not finite gets a scale
    /// that is none either, so that nobody takes what comes of it for a result.
    /// </summary>
    /// <param name="depth">K.</param>
    /// <param name="x">[K].</param>
    /// <param name="row">Room for <see cref="Bytes"/>.</param>
    public static void Quantize<L>(int depth, float* x, byte* row)
        where L : unmanaged, ISimd<L>
    {
        var scales = Scales(row, depth);
        for (var k = 0; k < depth; k += PanelLayout.BlockDepth)
        {
            scales[k / PanelLayout.BlockDepth] = Block<L>(Math.Min(PanelLayout.BlockDepth, depth - k), x + k, (short*)row + k);
        }
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static float Block<L>(int count, float* x, short* to)
        where L : unmanaged, ISimd<L>
    {
        L maxima = default, probe = default;
        var i = 0;
        for (; i <= count - L.Count; i += L.Count)
        {
            var v = L.Load(x + i);
            maxima = L.Max(maxima, L.Max(v, -v));
            probe = L.MultiplyAdd(v, default, probe); // zero, or not a number
        }

        var (largest, alarm) = (L.Maximum(maxima), L.Sum(probe));
        for (; i < count; i++)
        {
            (largest, alarm) = (MathF.Max(largest, MathF.Abs(x[i])), alarm + (x[i] * 0));
        }

        var inverse = largest == 0 ? 0 : Largest / largest;
        L factor = L.Create(inverse), rounder = L.Create(Rounder);
        for (i = 0; i <= count - L.Count; i += L.Count)
        {
            L.StoreLowHalves(to + i, (L.Load(x + i) * factor) + rounder);
        }

        for (; i < count; i++)
        {
            Simd1.StoreLowHalves(to + i, new Simd1((x[i] * inverse) + Rounder));
        }

        new Span<short>(to + count, PanelLayout.BlockDepth - count).Clear();
        return (largest / Largest) + alarm;
    }
}
