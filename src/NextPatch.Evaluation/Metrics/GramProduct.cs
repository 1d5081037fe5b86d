using static TorchSharp.torch;

namespace NextPatch.Evaluation.Metrics;

// Shape letters used in this file: N rows, D values per row.

/// <summary>Products of rows with themselves in float64.</summary>
internal static class GramProduct
{
    private const int BlockColumns = 512;

    /// <summary>Adds X^T X to a matrix, in blocks on and below the diagonal alone.</summary>
    /// <param name="sum">[D, D].</param>
    /// <param name="rows">X [N, D].</param>
    /// <param name="width">D.</param>
    public static void Add(double[] sum, double[] rows, int width)
    {
        using var noGradient = no_grad();
        using var scope = NewDisposeScope();
        var all = frombuffer(sum, ScalarType.Float64).view(width, width);

        // A copy, because libtorch's memory is aligned to 64 bytes and an array is not: the last bits of a product depend on that.
        var x = frombuffer(rows, ScalarType.Float64).view(-1, width).clone();
        for (var first = 0; first < width; first += BlockColumns)
        {
            using var inner = NewDisposeScope();
            var columns = Math.Min(BlockColumns, width - first);
            all.narrow(0, first, columns).narrow(1, 0, first + columns).add_(x.narrow(1, first, columns).t().mm(x.narrow(1, 0, first + columns))); // [columns, first + columns]
        }
    }
}
