using NextPatch.Core;
using static TorchSharp.torch;

namespace NextPatch.Evaluation.Metrics;

// Shape letters used in this file: N rows, D values per row.

/// <summary>Mean and covariance of feature rows, in float64, row by row as they come; parts made apart can be merged.</summary>
/// <remarks>
/// Blocks of rows are centred on their own mean before they are multiplied, and means are reconciled afterwards (Chan, Golub, LeVeque 1979):
/// sums of raw squares would lose the digits that small variances beside large means consist of. How rows are divided among calls of
/// <see cref="Add"/> does not change a bit. Cost: 1.25 N D D operations; memory: 8 D D bytes and a block of rows. One thread at a time.
/// </remarks>
public sealed class FeatureStatistics
{
    // Of the sum of all variances: what float32 leaves of eigenvalues that are zero, and far below what moves a distance.
    private const double Rounding = 1e-6;
    private const string NotPositive = "hold a covariance with a negative eigenvalue, which none has";
    private const int BlockRows = 1024;
    private const int BlockColumns = 512;

    private readonly double[] _mean;
    private readonly double[] _scatter; // sums of (x - mean)(x - mean)^T; of blocks above the diagonal nothing
    private readonly double[]? _given;
    private float[] _pending = [];
    private int _pendingRows;
    private long _count;

    /// <param name="width">D, at least 1.</param>
    public FeatureStatistics(int width)
    {
        ArgumentOutOfRangeException.ThrowIfNegativeOrZero(width);
        (Width, _mean, _scatter) = (width, new double[width], new double[(long)width * width]);
    }

    private FeatureStatistics(double[] mean, double[] covariance) => (Width, _mean, _scatter, _given) = (mean.Length, mean, [], covariance);

    /// <summary>D.</summary>
    public int Width { get; }

    /// <summary>Rows so far; 0 for statistics that were made elsewhere.</summary>
    public long Count => _count + _pendingRows;

    /// <summary>Statistics that were made elsewhere. They can be compared, and nothing can be added to them.</summary>
    /// <param name="mean">[D], kept.</param>
    /// <param name="covariance">[D, D], unbiased, kept.</param>
    /// <exception cref="NextPatchException">The sizes do not fit, or <see cref="ProblemOf"/> finds one.</exception>
    public static FeatureStatistics From(double[] mean, double[] covariance)
        => (long)mean.Length * mean.Length != covariance.Length || mean.Length == 0
            ? throw new NextPatchException(
                $"A covariance of {covariance.Length} values does not fit a mean of {mean.Length} features; expected "
                + $"{(long)mean.Length * mean.Length}.")
            : ProblemOf(mean, covariance) is { } problem
                ? throw new NextPatchException($"The given statistics of {mean.Length} features {problem}; make them again.")
                : new FeatureStatistics(mean, covariance);

    /// <summary>
    /// Why these are no mean and covariance of features that a distance can be computed of; null where they are. Values are finite and of features
    /// no larger than <see cref="FeatureRows.Largest"/>, beyond which a distance is rounding; a covariance is symmetric and has no negative
    /// eigenvalue, but for rounding.
    /// </summary>
    /// <remarks>Cost: that of a Cholesky decomposition, D^3 / 3 operations.</remarks>
    internal static string? ProblemOf(double[] mean, double[] covariance)
    {
        if (!mean.All(m => Math.Abs(m) <= FeatureRows.Largest)
            || !covariance.All(c => Math.Abs(c) <= (double)FeatureRows.Largest * FeatureRows.Largest))
        {
            return $"hold values that are not finite or are of features beyond {FeatureRows.Largest}";
        }

        var width = mean.Length;
        var trace = Enumerable.Range(0, width).Sum(i => covariance[((long)i * width) + i]);
        var rounding = Rounding * trace;
        for (var i = 0; i < width; i++)
        {
            if (trace < 0 || covariance[((long)i * width) + i] < -rounding)
            {
                return $"hold a covariance with a negative variance (feature {i}: {covariance[((long)i * width) + i]})";
            }

            for (var j = 0; j < i; j++)
            {
                if (Math.Abs(covariance[((long)i * width) + j] - covariance[((long)j * width) + i]) > rounding)
                {
                    return $"hold a covariance that is not symmetric (features {i} and {j})";
                }
            }
        }

        return trace == 0 ? covariance.All(c => c == 0) ? null : NotPositive : IsPositive(covariance, width, rounding) ? null : NotPositive;
    }

    private static bool IsPositive(double[] covariance, int width, double rounding)
    {
        using var noGradient = no_grad();
        using var scope = NewDisposeScope();
        var shifted = frombuffer(covariance, ScalarType.Float64).view(width, width) + (eye(width, dtype: ScalarType.Float64) * rounding);
        return linalg.cholesky_ex(shifted).info.item<int>() == 0;
    }

    /// <summary>Adds rows.</summary>
    /// <param name="rows">[N, D].</param>
    /// <exception cref="NextPatchException">Not whole rows, or a value is not finite. After the latter nothing of the call counts.</exception>
    public void Add(ReadOnlySpan<float> rows)
    {
        RefuseGiven();
        FeatureRows.Check(rows, Width, Count);
        if (_pending.Length == 0)
        {
            _pending = new float[BlockRows * Width];
        }

        while (!rows.IsEmpty)
        {
            var taken = Math.Min(rows.Length / Width, BlockRows - _pendingRows);
            rows[..(taken * Width)].CopyTo(_pending.AsSpan(_pendingRows * Width));
            rows = rows[(taken * Width)..];
            _pendingRows += taken;
            if (_pendingRows == BlockRows)
            {
                AbsorbPending();
            }
        }
    }

    /// <summary>Adds the rows that another has seen, which stays as it is.</summary>
    /// <exception cref="NextPatchException">The widths differ.</exception>
    public void Merge(FeatureStatistics other)
    {
        RefuseGiven();
        other.RefuseGiven();
        if (other.Width != Width)
        {
            throw new NextPatchException(
                $"Statistics of {other.Width} features cannot be merged into statistics of {Width}; both must come from one network.");
        }

        AbsorbPending();
        other.AbsorbPending();
        if (other._count == 0)
        {
            return;
        }

        var shift = Reconcile(other._mean, other._count);
        for (var i = 0; i < Width; i++)
        {
            for (var j = 0; j <= i; j++)
            {
                _scatter[((long)i * Width) + j] += other._scatter[((long)i * Width) + j] + (shift[i] * shift[j]);
            }
        }
    }

    /// <summary>Mean of the rows.</summary>
    /// <returns>[D].</returns>
    /// <exception cref="NextPatchException">There are no rows.</exception>
    public double[] Mean()
    {
        AbsorbPending();
        return _given is not null || _count > 0
            ? [.. _mean]
            : throw new NextPatchException("There is no mean of 0 rows of features; add images first.");
    }

    /// <summary>Unbiased covariance of the rows: sums over N - 1.</summary>
    /// <returns>[D, D], symmetric.</returns>
    /// <exception cref="NextPatchException">There are fewer than two rows.</exception>
    public double[] Covariance()
    {
        if (_given is not null)
        {
            return [.. _given];
        }

        AbsorbPending();
        if (_count < 2)
        {
            throw new NextPatchException($"A covariance needs at least 2 rows of features but there are {_count}; give more images.");
        }

        var covariance = new double[_scatter.Length];
        for (var i = 0; i < Width; i++)
        {
            for (var j = 0; j <= i; j++)
            {
                covariance[((long)i * Width) + j] = covariance[((long)j * Width) + i] = _scatter[((long)i * Width) + j] / (_count - 1);
            }
        }

        return covariance;
    }

    private void AbsorbPending()
    {
        if (_pendingRows == 0)
        {
            return;
        }

        using var noGradient = no_grad();
        using var scope = NewDisposeScope();
        var rows = _pendingRows;
        _pendingRows = 0;
        var centred = empty(rows + 1, Width, ScalarType.Float64);
        var block = centred.narrow(0, 0, rows); // [N, D]
        block.copy_(frombuffer(_pending, ScalarType.Float32, (long)rows * Width).view(rows, Width));
        var mean = block.mean([0L]);
        block.sub_(mean);

        // The distance of the two means counts like one more row.
        centred.narrow(0, rows, 1).copy_(frombuffer(Reconcile(mean.data<double>().ToArray(), rows), ScalarType.Float64));
        AddGram(centred);
    }

    /// <summary>Adds X^T X to the scatter, in blocks on and below the diagonal alone.</summary>
    /// <param name="x">[N, D], in libtorch's memory, which is aligned as an array is not: the last bits of a product depend on that.</param>
    private void AddGram(Tensor x)
    {
        var scatter = frombuffer(_scatter, ScalarType.Float64).view(Width, Width);
        for (var first = 0; first < Width; first += BlockColumns)
        {
            using var inner = NewDisposeScope();
            var columns = Math.Min(BlockColumns, Width - first);
            // [columns, first + columns]
            scatter.narrow(0, first, columns).narrow(1, 0, first + columns).add_(x.narrow(1, first, columns).t().mm(x.narrow(1, 0, first + columns)));
        }
    }

    /// <summary>Moves the mean, and returns the row whose square the scatter of both together has more than the scatter of each.</summary>
    private double[] Reconcile(double[] mean, long rows)
    {
        var weight = Math.Sqrt(_count * (rows / (double)(_count + rows)));
        var shift = new double[Width];
        for (var i = 0; i < Width; i++)
        {
            var difference = mean[i] - _mean[i];
            shift[i] = weight * difference;
            _mean[i] += difference * rows / (_count + rows);
        }

        _count += rows;
        return shift;
    }

    private void RefuseGiven()
    {
        if (_given is not null)
        {
            throw new InvalidOperationException(
                "Nothing can be added to or merged with statistics that were made elsewhere: they do not say of how many rows.");
        }
    }
}
