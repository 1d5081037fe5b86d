using System.Numerics;

namespace NextPatch.Evaluation.Metrics;

// Shape letters used in this file: N reference rows, M sample rows.

/// <summary>
/// Which samples lie in a ball around a reference row, and which reference rows lie in a ball around a sample: in one pass over the pairs.
/// </summary>
internal sealed class ManifoldMembership
{
    private readonly FeatureMatrix _reference;
    private readonly FeatureMatrix _samples;
    private readonly double[] _referenceRadii;
    private readonly double[] _sampleRadii;

    // Lowered squares, infinite once the row is known to lie in a ball: no test succeeds then.
    private readonly float[] _openReference;
    private readonly float[] _openSamples;

    // Squared radius minus lowered square, rounded up: a lower bound of the distance minus the same must not be above it.
    private readonly float[] _referenceReach;
    private readonly float[] _sampleReach;

    private ManifoldMembership(FeatureMatrix reference, double[] referenceRadii, FeatureMatrix samples, double[] sampleRadii)
    {
        (_reference, _samples, _referenceRadii, _sampleRadii) = (reference, samples, referenceRadii, sampleRadii);
        (_openReference, _openSamples) = ([.. reference.LowSquares], [.. samples.LowSquares]);
        (_referenceReach, _sampleReach) = (Reach(reference, referenceRadii), Reach(samples, sampleRadii));
    }

    /// <param name="reference">N rows.</param>
    /// <param name="referenceRadii">[N], squared.</param>
    /// <param name="samples">M rows.</param>
    /// <param name="sampleRadii">[M], squared.</param>
    /// <param name="cancellation">Checked between tiles.</param>
    /// <returns>[N] and [M].</returns>
    public static (bool[] Reference, bool[] Samples) Find(
        FeatureMatrix reference, double[] referenceRadii, FeatureMatrix samples, double[] sampleRadii, CancellationToken cancellation)
    {
        var search = new ManifoldMembership(reference, referenceRadii, samples, sampleRadii);
        var tile = new ProductTile(reference.Width);
        for (var left = 0; left < samples.Count; left += ProductTile.Rows)
        {
            tile.SetLeft(samples, left);
            for (var right = 0; right < reference.Count; right += ProductTile.Columns)
            {
                cancellation.ThrowIfCancellationRequested();
                tile.Multiply(reference, right);
                Parallel.For(0, tile.LeftCount, r => search.Row(tile, r));
            }
        }

        return (Array.ConvertAll(search._openReference, float.IsPositiveInfinity), Array.ConvertAll(search._openSamples, float.IsPositiveInfinity));
    }

    private static float[] Reach(FeatureMatrix cloud, double[] radii)
        => [.. radii.Select((radius, i) => MathF.BitIncrement((float)(radius - cloud.LowSquares[i])))];

    private void Row(ProductTile tile, int r)
    {
        var sample = tile.LeftFirst + r;
        var products = tile.Row(r);
        var open = _openReference.AsSpan(tile.RightFirst, products.Length);
        var reach = _referenceReach.AsSpan(tile.RightFirst, products.Length);
        var sampleReach = new Vector<float>(_sampleReach[sample]);
        var c = 0;
        for (; c <= products.Length - Vector<float>.Count; c += Vector<float>.Count)
        {
            var values = new Vector<float>(products[c..]);
            if (Vector.LessThanOrEqualAny(values + new Vector<float>(_openSamples[sample]), new Vector<float>(reach[c..]))
                || Vector.LessThanOrEqualAny(values + new Vector<float>(open[c..]), sampleReach))
            {
                Decide(products, tile.RightFirst, sample, c, c + Vector<float>.Count);
            }
        }

        Decide(products, tile.RightFirst, sample, c, products.Length);
    }

    /// <summary>
    /// Asks for the exact distance where a lower bound allows either to lie in the other's ball. Other threads may close a row meanwhile: that is
    /// only ever true.
    /// </summary>
    private void Decide(ReadOnlySpan<float> products, int firstReference, int sample, int from, int end)
    {
        for (var c = from; c < end; c++)
        {
            var row = firstReference + c;
            if (products[c] + _openSamples[sample] <= _referenceReach[row] || products[c] + _openReference[row] <= _sampleReach[sample])
            {
                var distance = _samples.Distance(sample, _reference, row);
                if (distance <= _referenceRadii[row])
                {
                    _openSamples[sample] = float.PositiveInfinity;
                }

                if (distance <= _sampleRadii[sample])
                {
                    _openReference[row] = float.PositiveInfinity;
                }
            }
        }
    }
}
