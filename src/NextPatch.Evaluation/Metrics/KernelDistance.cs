using NextPatch.Core;
using NextPatch.Core.Sampling;
using static TorchSharp.torch;

namespace NextPatch.Evaluation.Metrics;

// Shape letters used in this file: N, M rows of the two sets, D values per row, S rows of a subset.

/// <summary>
/// Kernel distance, which is the KID where the features are those of the FID Inception network (Binkowski et al. 2018): the unbiased squared maximum
/// mean discrepancy with the kernel (x . y / D + 1)^3, mean over random subsets of both sets, in float64.
/// </summary>
/// <param name="Mean">Over the subsets; around 0 for equal distributions, hence also below.</param>
/// <param name="StandardDeviation">Of the subsets' values.</param>
public readonly record struct KernelDistance(double Mean, double StandardDeviation)
{
    /// <param name="reference">[N, D].</param>
    /// <param name="samples">[M, D].</param>
    /// <param name="width">D.</param>
    /// <param name="seed">Of the subsets: equal seeds give equal values.</param>
    /// <param name="subsets">How many subsets.</param>
    /// <param name="subsetSize">S, rows drawn from each set without replacement.</param>
    /// <param name="cancellation">Checked between subsets.</param>
    /// <exception cref="NextPatchException">A set has fewer than S rows, is no whole number of rows, or holds a value that is not finite.</exception>
    /// <remarks>Cost: 6 S S D operations per subset.</remarks>
    public static KernelDistance Compute(
        ReadOnlyMemory<float> reference, ReadOnlyMemory<float> samples, int width, ulong seed = 0, int subsets = 100, int subsetSize = 1000,
        CancellationToken cancellation = default)
    {
        ArgumentOutOfRangeException.ThrowIfNegativeOrZero(subsets);
        ArgumentOutOfRangeException.ThrowIfLessThan(subsetSize, 2);
        foreach (var (name, rows) in (ReadOnlySpan<(string, ReadOnlyMemory<float>)>)[("reference", reference), ("samples", samples)])
        {
            if (FeatureRows.Check(rows.Span, width) is var count && count < subsetSize)
            {
                throw new NextPatchException(
                    $"A kernel distance of subsets of {subsetSize} needs as many images, but the {name} are {count}; give more images or take "
                    + $"smaller subsets.");
            }
        }

        var random = new CounterRandom(seed, RandomStream.Evaluation);
        var values = new double[subsets];
        var (first, second) = (new double[subsetSize * width], new double[subsetSize * width]);
        for (var i = 0; i < subsets; i++)
        {
            cancellation.ThrowIfCancellationRequested();
            Fill(first, reference.Span, width, random, 2L * i);
            Fill(second, samples.Span, width, random, (2L * i) + 1);
            values[i] = Discrepancy(first, second, width);
        }

        var mean = values.Average();
        return new KernelDistance(mean, Math.Sqrt(values.Average(v => (v - mean) * (v - mean))));
    }

    /// <summary>Rows drawn without replacement: the start of a shuffle.</summary>
    private static void Fill(Span<double> subset, ReadOnlySpan<float> rows, int width, CounterRandom random, long index)
    {
        var count = rows.Length / width;
        var moved = new Dictionary<int, int>(); // the shuffled order, where it is not the given one
        for (var i = 0; i < subset.Length / width; i++)
        {
            var place = i + random.Below(count - i, index, i);
            var row = rows.Slice(moved.GetValueOrDefault(place, place) * width, width);
            moved[place] = moved.GetValueOrDefault(i, i);
            for (var d = 0; d < width; d++)
            {
                subset[(i * width) + d] = row[d];
            }
        }
    }

    private static double Discrepancy(double[] first, double[] second, int width)
    {
        using var noGradient = no_grad();
        using var scope = NewDisposeScope();

        // Copies lie in libtorch's aligned memory, as equal bits from equal rows need.
        // [S, D]
        var (x, y) = (frombuffer(first, ScalarType.Float64).view(-1, width).clone(), frombuffer(second, ScalarType.Float64).view(-1, width).clone());
        double size = x.size(0), pairs = size * (size - 1);
        double Sum(Tensor a, Tensor b) => Kernel(a.mm(b.t())).sum().item<double>();
        double Diagonal(Tensor a) => Kernel(a.square().sum(1)).sum().item<double>();
        Tensor Kernel(Tensor products) => products.div_(width).add_(1).pow_(3);
        return ((Sum(x, x) - Diagonal(x) + Sum(y, y) - Diagonal(y)) / pairs) - (2 * Sum(x, y) / (size * size));
    }
}
