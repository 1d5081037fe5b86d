using System.Numerics;
using System.Runtime.InteropServices;

namespace NextPatch.Core.Imaging;

/// <summary>The kernel of resizing: one row as the weighted sum of neighbouring rows, in 22-bit fixed point.</summary>
/// <remarks>Integer sums do not depend on their order, so every vector width gives the bytes of <see cref="SumReference"/>.</remarks>
internal static class WeightedRows
{
    private const int Half = 1 << (ResampleWeights.FractionBits - 1);

    /// <summary>Sums rows element by element, rounds and clamps to 0..255.</summary>
    /// <param name="rows">The first row starts at element 0, the next <paramref name="stride"/> elements later.</param>
    /// <param name="stride">Elements from row to row; at least the length of <paramref name="sum"/>.</param>
    /// <param name="weights">One per row, fixed point.</param>
    /// <param name="sum">The result.</param>
    public static void Sum(ReadOnlySpan<byte> rows, int stride, ReadOnlySpan<int> weights, Span<byte> sum)
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(rows.Length, ((weights.Length - 1) * stride) + sum.Length);
        ref var source = ref MemoryMarshal.GetReference(rows);
        var x = 0;
        for (; x <= sum.Length - Vector<byte>.Count; x += Vector<byte>.Count)
        {
            Vector<int> a = new(Half), b = a, c = a, d = a;
            for (var k = 0; k < weights.Length; k++)
            {
                Vector.Widen(Vector.LoadUnsafe(ref source, (nuint)((k * stride) + x)), out var low, out var high);
                Vector.Widen(low, out var first, out var second);
                Vector.Widen(high, out var third, out var fourth);
                var weight = new Vector<int>(weights[k]);
                a += Vector.AsVectorInt32(first) * weight;
                b += Vector.AsVectorInt32(second) * weight;
                c += Vector.AsVectorInt32(third) * weight;
                d += Vector.AsVectorInt32(fourth) * weight;
            }

            var pixels = Vector.Narrow(Vector.Narrow(Clamp(a), Clamp(b)), Vector.Narrow(Clamp(c), Clamp(d)));
            Vector.AsVectorByte(pixels).CopyTo(sum[x..]);
        }

        if (x < sum.Length)
        {
            SumReference(rows[x..], stride, weights, sum[x..]);
        }
    }

    /// <summary>The same, one element at a time.</summary>
    public static void SumReference(ReadOnlySpan<byte> rows, int stride, ReadOnlySpan<int> weights, Span<byte> sum)
    {
        for (var x = 0; x < sum.Length; x++)
        {
            var total = Half;
            for (var k = 0; k < weights.Length; k++)
            {
                total += rows[(k * stride) + x] * weights[k];
            }

            sum[x] = (byte)Math.Clamp(total >> ResampleWeights.FractionBits, 0, byte.MaxValue);
        }
    }

    private static Vector<int> Clamp(Vector<int> sum)
        => Vector.Min(Vector.Max(Vector.ShiftRightArithmetic(sum, ResampleWeights.FractionBits), Vector<int>.Zero), new Vector<int>(byte.MaxValue));
}
