using System.Numerics;

namespace NextPatch.Evaluation.Metrics;

// Shape letters used in this file: N rows, K candidates per row.

/// <summary>The squared distance of each row of a cloud to its k-th nearest other row.</summary>
internal sealed class NearestNeighbours
{
    // Beyond k, so that lower bounds that are out of order by their rounding do not matter.
    private const int Spare = 5;

    private readonly FeatureMatrix _cloud;
    private readonly int _neighbours;
    private readonly int _candidates;
    private readonly float[] _bounds; // [N, K], ascending: the smallest lower bounds
    private readonly int[] _indices;  // [N, K]

    private NearestNeighbours(FeatureMatrix cloud, int neighbours)
    {
        (_cloud, _neighbours, _candidates) = (cloud, neighbours, neighbours + Spare);
        (_bounds, _indices) = (new float[cloud.Count * _candidates], new int[cloud.Count * _candidates]);
        Array.Fill(_bounds, float.PositiveInfinity);
    }

    /// <param name="cloud">N rows, more than <paramref name="neighbours"/>.</param>
    /// <param name="neighbours">k.</param>
    /// <param name="cancellation">Checked between tiles.</param>
    /// <returns>[N], in float64.</returns>
    public static double[] SquaredRadii(FeatureMatrix cloud, int neighbours, CancellationToken cancellation)
    {
        var search = new NearestNeighbours(cloud, neighbours);
        var tile = new ProductTile(cloud.Width);
        for (var left = 0; left < cloud.Count; left += ProductTile.Rows)
        {
            tile.SetLeft(cloud, left);

            // Each pair once: tiles wholly below the diagonal are left out, and their pairs come from their mirror images.
            for (var right = left / ProductTile.Columns * ProductTile.Columns; right < cloud.Count; right += ProductTile.Columns)
            {
                cancellation.ThrowIfCancellationRequested();
                tile.Multiply(cloud, right);
                Parallel.For(0, tile.LeftCount, r => search.OfferRow(tile, r));
                search.OfferColumns(tile);
            }
        }

        var radii = new double[cloud.Count];
        Parallel.For(0, cloud.Count, i => radii[i] = search.Settle(i));
        return radii;
    }

    /// <summary>Offers to a row of the left block the rows of the right block behind it.</summary>
    private void OfferRow(ProductTile tile, int r)
    {
        var row = tile.LeftFirst + r;
        var products = tile.Row(r);
        var squares = _cloud.LowSquares.AsSpan(tile.RightFirst, tile.RightCount);
        var c = Math.Max(0, row + 1 - tile.RightFirst);
        for (; c <= products.Length - Vector<float>.Count; c += Vector<float>.Count)
        {
            if (Vector.LessThanAny(new Vector<float>(products[c..]) + new Vector<float>(squares[c..]), new Vector<float>(Limit(row))))
            {
                OfferToRow(row, tile, products, c, c + Vector<float>.Count);
            }
        }

        OfferToRow(row, tile, products, c, products.Length);
    }

    private void OfferToRow(int row, ProductTile tile, ReadOnlySpan<float> products, int from, int end)
    {
        for (var c = from; c < end; c++)
        {
            var value = products[c] + _cloud.LowSquares[tile.RightFirst + c];
            if (value < Limit(row))
            {
                Insert(row, tile.RightFirst + c, value);
            }
        }
    }

    /// <summary>Offers to the rows of the right block the rows of the left block before them; threads share the columns.</summary>
    private void OfferColumns(ProductTile tile)
    {
        const int Part = 256;
        Parallel.For(0, (tile.RightCount + Part - 1) / Part, part =>
        {
            var first = part * Part;
            var count = Math.Min(Part, tile.RightCount - first);
            Span<float> limits = stackalloc float[Part];
            for (var c = 0; c < count; c++)
            {
                limits[c] = Limit(tile.RightFirst + first + c);
            }

            var rows = Math.Min(tile.LeftCount, tile.RightFirst + first + count - 1 - tile.LeftFirst);
            for (var r = 0; r < rows; r++)
            {
                var products = tile.Row(r).Slice(first, count);
                var square = _cloud.LowSquares[tile.LeftFirst + r];
                var c = 0;
                for (; c <= count - Vector<float>.Count; c += Vector<float>.Count)
                {
                    if (Vector.LessThanAny(new Vector<float>(products[c..]) + new Vector<float>(square), new Vector<float>(limits[c..])))
                    {
                        OfferToColumns(tile.LeftFirst + r, tile.RightFirst + first, products, limits, c, c + Vector<float>.Count);
                    }
                }

                OfferToColumns(tile.LeftFirst + r, tile.RightFirst + first, products, limits, c, count);
            }
        });
    }

    private void OfferToColumns(int row, int firstColumn, ReadOnlySpan<float> products, Span<float> limits, int from, int end)
    {
        for (var c = from; c < end; c++)
        {
            var value = products[c] + _cloud.LowSquares[row];
            if (value < limits[c] && firstColumn + c > row)
            {
                Insert(firstColumn + c, row, value);
                limits[c] = Limit(firstColumn + c);
            }
        }
    }

    /// <summary>What product plus square of the other must be below to become a candidate of a row.</summary>
    private float Limit(int row) => _bounds[(row * _candidates) + _candidates - 1] - _cloud.LowSquares[row];

    private void Insert(int row, int other, float value)
    {
        var bound = value + _cloud.LowSquares[row];
        var bounds = _bounds.AsSpan(row * _candidates, _candidates);
        var indices = _indices.AsSpan(row * _candidates, _candidates);
        var at = _candidates - 1;
        for (; at > 0 && bounds[at - 1] > bound; at--)
        {
            (bounds[at], indices[at]) = (bounds[at - 1], indices[at - 1]);
        }

        (bounds[at], indices[at]) = (bound, other);
    }

    /// <summary>The k-th smallest exact distance. All rows beyond the candidates are farther than the last lower bound.</summary>
    private double Settle(int row)
    {
        var bounds = _bounds.AsSpan(row * _candidates, _candidates);
        var indices = _indices.AsSpan(row * _candidates, _candidates);
        var distances = new List<double>(_candidates);
        for (var i = 0; i < _candidates && !float.IsPositiveInfinity(bounds[i]); i++)
        {
            distances.Add(_cloud.Distance(row, _cloud, indices[i]));
        }

        distances.Sort();
        var radius = distances[_neighbours - 1];
        return radius == 0 || radius <= bounds[^1]
            ? radius
            : Enumerable.Range(0, _cloud.Count).Where(j => j != row).Select(j => _cloud.Distance(row, _cloud, j)).Order().ElementAt(_neighbours - 1);
    }
}
