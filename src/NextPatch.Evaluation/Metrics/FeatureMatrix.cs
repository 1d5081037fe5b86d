using System.Numerics;
using NextPatch.Core;

namespace NextPatch.Evaluation.Metrics;

// Shape letters used in this file: N rows, D values per row.

/// <summary>Rows of features as points between which distances are asked: cheap ones that are never too large, and exact ones.</summary>
/// <remarks>
/// Products are taken in float32 around a centre that all clouds of a comparison share, because distances do not depend on it and rounding does.
/// A product of D terms is off by at most D 2^-24 |u| |v|, and |u| |v| is at most (|u|^2 + |v|^2) / 2; so |u|^2 + |v|^2 - 2 u.v with both squares
/// taken smaller by that share is a lower bound of the squared distance. Whatever a lower bound cannot decide is decided by
/// <see cref="Distance(int, FeatureMatrix, int)"/>.
/// </remarks>
internal sealed class FeatureMatrix
{
    // Roundings of the centred values, of the squares and of the sums, beside those of the product.
    private const int FurtherRoundings = 32;

    private readonly ReadOnlyMemory<float> _rows;
    private readonly float[] _centre;

    /// <param name="name">For messages.</param>
    /// <param name="rows">[N, D], finite.</param>
    /// <param name="centre">[D].</param>
    /// <exception cref="NextPatchException">The values are so large that their squares leave float32.</exception>
    public FeatureMatrix(string name, ReadOnlyMemory<float> rows, float[] centre)
    {
        (_rows, _centre) = (rows, centre);
        LowSquares = new float[rows.Length / Width];
        var share = (Width + FurtherRoundings) * Math.Pow(2, -24);
        Parallel.For(0, Count, i => LowSquares[i] = (float)(DistanceToCentre(i) * (1 - share)));
        if (LowSquares.Max() is var largest && !(largest < float.MaxValue / 8))
        {
            throw new NextPatchException(
                $"The {name} hold features too large to compare (a squared length of {largest:G3}); scale them, or check the network's weights.");
        }
    }

    public int Width => _centre.Length;

    public int Count => LowSquares.Length;

    /// <summary>[N]: squared distances to the centre, lowered by the rounding of products.</summary>
    public float[] LowSquares { get; }

    /// <summary>The mean of some rows, which serves as well as that of all.</summary>
    /// <param name="rows">[N, D].</param>
    /// <param name="width">D.</param>
    public static float[] CentreOf(ReadOnlySpan<float> rows, int width)
    {
        var (count, sums) = (Math.Min(rows.Length / width, 4096), new double[width]);
        for (var i = 0; i < count; i++)
        {
            for (var d = 0; d < width; d++)
            {
                sums[d] += rows[(i * width) + d];
            }
        }

        return [.. sums.Select(s => (float)(s / count))];
    }

    /// <summary>Copies rows, centred.</summary>
    public void CopyCentred(int first, int count, float[] to) => Parallel.For(0, count, i =>
    {
        var row = Row(first + i);
        var target = to.AsSpan(i * Width, Width);
        for (var d = 0; d < row.Length; d++)
        {
            target[d] = row[d] - _centre[d];
        }
    });

    /// <summary>Squared Euclidean distance in float64; the same in both directions.</summary>
    public double Distance(int i, FeatureMatrix other, int j) => Distance(Row(i), other.Row(j));

    private double DistanceToCentre(int i) => Distance(Row(i), _centre);

    private ReadOnlySpan<float> Row(int i) => _rows.Span.Slice(i * Width, Width);

    private static double Distance(ReadOnlySpan<float> a, ReadOnlySpan<float> b)
    {
        var sums = Vector<double>.Zero;
        var d = 0;
        for (; d <= a.Length - Vector<float>.Count; d += Vector<float>.Count)
        {
            Vector.Widen(new Vector<float>(a[d..]), out var a0, out var a1);
            Vector.Widen(new Vector<float>(b[d..]), out var b0, out var b1);
            sums += ((a0 - b0) * (a0 - b0)) + ((a1 - b1) * (a1 - b1));
        }

        var sum = Vector.Sum(sums);
        for (; d < a.Length; d++)
        {
            sum += ((double)a[d] - b[d]) * ((double)a[d] - b[d]);
        }

        return sum;
    }
}
