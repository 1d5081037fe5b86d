namespace NextPatch.Core.Imaging;

internal static partial class WeightedRows
{
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
}
