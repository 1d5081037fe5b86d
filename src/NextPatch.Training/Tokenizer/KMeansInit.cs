using NextPatch.Core.Sampling;
using static TorchSharp.torch;

namespace NextPatch.Training.Tokenizer;

// Shape letters used in this file: R rows, W code width, K centres.

/// <summary>Spherical k-means: where a codebook starts so that every code is near some latents.</summary>
internal static class KMeansInit
{
    private const int Iterations = 12;

    // Their products with all centres are the largest tensor here.
    private const int RowsAtOnce = 4096;

    /// <param name="rows">Unit vectors, float [R, W], R at least 1.</param>
    /// <param name="centres">K; may exceed R, then some centres coincide until revival moves them.</param>
    /// <param name="random">Chooses the first centres.</param>
    /// <param name="index">Item of <paramref name="random"/> to draw from.</param>
    /// <returns>Unit vectors, float [K, W].</returns>
    public static Tensor Cluster(Tensor rows, int centres, CounterRandom random, long index)
    {
        using var scope = NewDisposeScope();
        using var noGradient = no_grad();
        var current = rows.index_select(0, tensor(PickFirst(centres, (int)rows.size(0), random, index), device: rows.device)); // [K, W]
        for (var i = 0; i < Iterations; i++)
        {
            using var inner = NewDisposeScope();
            var nearest = cat([.. rows.split(RowsAtOnce).Select(part => nn.functional.linear(part, current).argmax(1))]); // [R]
            var sums = zeros_like(current).index_add(0, nearest, rows, 1);                     // [K, W]
            var isEmpty = sums.square().sum(1, keepdim: true).lt(1e-12);                       // [K, 1]
            current = where(isEmpty, current, nn.functional.normalize(sums, dim: 1)).MoveToOuterDisposeScope();
        }

        return current.MoveToOuterDisposeScope();
    }

    // Distinct rows while there are enough: a partial Fisher-Yates shuffle.
    private static long[] PickFirst(int centres, int rows, CounterRandom random, long index)
    {
        var order = Enumerable.Range(0, rows).Select(r => (long)r).ToArray();
        var picked = new long[centres];
        for (var k = 0; k < centres; k++)
        {
            var at = k % rows;
            var other = at + random.Below(rows - at, index, k);
            (order[at], order[other]) = (order[other], order[at]);
            picked[k] = order[at];
        }

        return picked;
    }
}
