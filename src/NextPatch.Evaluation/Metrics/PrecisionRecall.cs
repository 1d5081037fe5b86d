using NextPatch.Core;

namespace NextPatch.Evaluation.Metrics;

// Shape letters used in this file: N reference rows, M sample rows, D values per row.

/// <summary>
/// Precision and recall of Kynkäänniemi et al. 2019, as the published evaluator computes them: each set is covered by balls around its points that
/// reach to the k-th nearest other point of the set.
/// </summary>
/// <param name="Precision">Share of the samples that lie in a ball of the reference: how many are good.</param>
/// <param name="Recall">Share of the reference that lies in a ball of the samples: how much of it is reached.</param>
public readonly record struct PrecisionRecall(double Precision, double Recall)
{
    /// <param name="reference">[N, D], N above <paramref name="neighbours"/>.</param>
    /// <param name="samples">[M, D], M above <paramref name="neighbours"/>.</param>
    /// <param name="width">D.</param>
    /// <param name="neighbours">k.</param>
    /// <param name="cancellation">Checked between blocks.</param>
    /// <exception cref="NextPatchException">A set has too few rows, is no whole number of rows, or holds a value that is not finite.</exception>
    public static PrecisionRecall Compute(ReadOnlyMemory<float> reference, ReadOnlyMemory<float> samples, int width, int neighbours = 3, CancellationToken cancellation = default)
    {
        var (r, s) = (reference.ToArray().Chunk(width).ToArray(), samples.ToArray().Chunk(width).ToArray());
        var (rRadii, sRadii) = (Radii(r, neighbours), Radii(s, neighbours));
        return new(Inside(s, r, rRadii), Inside(r, s, sRadii));
    }

    private static double[] Radii(float[][] rows, int k) => [.. rows.Select(a => rows.Select(b => Distance(a, b)).Order().ElementAt(k))];

    private static double Inside(float[][] points, float[][] centres, double[] radii) => points.Count(p => centres.Index().Any(c => Distance(p, c.Item) <= radii[c.Index])) / (double)points.Length;

    private static double Distance(float[] a, float[] b) => a.Zip(b, (x, y) => ((double)x - y) * ((double)x - y)).Sum();
}
