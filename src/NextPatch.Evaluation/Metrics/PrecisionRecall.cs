using NextPatch.Core;

namespace NextPatch.Evaluation.Metrics;

// Shape letters used in this file: N reference rows, M sample rows, D values per row.

/// <summary>
/// Precision and recall of Kynkäänniemi et al. 2019, as the published evaluator defines them: each set is covered by balls around its points that
/// reach to the k-th nearest other point of the set, surface included.
/// </summary>
/// <param name="Precision">Share of the samples that lie in a ball of the reference: how many are good.</param>
/// <param name="Recall">Share of the reference that lies in a ball of the samples: how much of it is reached.</param>
/// <remarks>
/// The published evaluator takes squared distances in float16 and falls back to float32 where that overflows. Here the result is that of float64:
/// float32 products rule out what is certainly too far, and all others are taken again in float64.
/// Cost: D (N N + M M + 2 N M) operations of the products; memory: the rows and tiles of 1,024 by 2,048 pairs.
/// </remarks>
public readonly record struct PrecisionRecall(double Precision, double Recall)
{
    /// <param name="reference">[N, D], N above <paramref name="neighbours"/>.</param>
    /// <param name="samples">[M, D], M above <paramref name="neighbours"/>.</param>
    /// <param name="width">D.</param>
    /// <param name="neighbours">k.</param>
    /// <param name="cancellation">Checked between tiles.</param>
    /// <exception cref="NextPatchException">A set has too few rows, is no whole number of rows, or holds a value that is not finite or too
    /// large.</exception>
    public static PrecisionRecall Compute(
        ReadOnlyMemory<float> reference, ReadOnlyMemory<float> samples, int width, int neighbours = 3, CancellationToken cancellation = default)
    {
        var manifolds = Manifolds.Compute(reference, samples, width, neighbours, cancellation);
        return new PrecisionRecall(Share(manifolds.SamplesInside), Share(manifolds.ReferenceInside));
    }

    private static double Share(bool[] inside) => inside.Count(i => i) / (double)inside.Length;

    /// <summary>The parts of the answer.</summary>
    /// <param name="ReferenceRadii">[N], squared.</param>
    /// <param name="SampleRadii">[M], squared.</param>
    /// <param name="ReferenceInside">[N]: lies in a ball of the samples.</param>
    /// <param name="SamplesInside">[M]: lies in a ball of the reference.</param>
    internal sealed record Manifolds(double[] ReferenceRadii, double[] SampleRadii, bool[] ReferenceInside, bool[] SamplesInside)
    {
        /// <inheritdoc cref="PrecisionRecall.Compute"/>
        public static Manifolds Compute(
            ReadOnlyMemory<float> reference, ReadOnlyMemory<float> samples, int width, int neighbours, CancellationToken cancellation)
        {
            ArgumentOutOfRangeException.ThrowIfNegativeOrZero(neighbours);
            foreach (var (name, rows) in (ReadOnlySpan<(string, ReadOnlyMemory<float>)>)[("reference", reference), ("samples", samples)])
            {
                if (FeatureRows.Check(rows.Span, width) is var count && count <= neighbours)
                {
                    throw new NextPatchException(
                        $"Precision and recall with {neighbours} neighbours need at least {neighbours + 1} images, but the {name} are {count}; "
                        + $"give more.");
                }
            }

            var centre = FeatureMatrix.CentreOf(reference.Span, width);
            var (first, second) = (new FeatureMatrix("reference", reference, centre), new FeatureMatrix("samples", samples, centre));
            var (radii, sampleRadii) =
                (NearestNeighbours.SquaredRadii(first, neighbours, cancellation), NearestNeighbours.SquaredRadii(second, neighbours, cancellation));
            var (referenceInside, samplesInside) = ManifoldMembership.Find(first, radii, second, sampleRadii, cancellation);
            return new Manifolds(radii, sampleRadii, referenceInside, samplesInside);
        }
    }
}
