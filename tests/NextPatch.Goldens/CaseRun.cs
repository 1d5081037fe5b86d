using NextPatch.Core.Tensors;
using NextPatch.Torch.Loading;
using static TorchSharp.torch;

namespace NextPatch.Goldens;

/// <summary>Collects the comparisons of one case.</summary>
internal sealed class CaseRun
{
    private readonly List<string> _failures = [];
    private readonly List<string> _remarks = [];
    private string? _where;
    private bool _isIncomplete;

    public CaseRun(GoldenCase golden) => Golden = golden;

    public GoldenCase Golden { get; }

    /// <summary>Arrays, scalars and facts compared.</summary>
    public int Checks { get; private set; }

    /// <summary>Largest absolute difference of all numbers compared, within tolerance or not.</summary>
    public double MaxError { get; private set; }

    public CaseResult Result() => new(
        Golden.Name,
        _failures.Count > 0 ? CaseStatus.Failed : _isIncomplete || Checks == 0 ? CaseStatus.Unsupported : CaseStatus.Passed,
        MaxError,
        Checks,
        string.Join("; ", [.. _failures.Take(3), .. _failures.Count > 3 ? [$"{_failures.Count - 3} more"] : Array.Empty<string>(),
            .. _where is null || _failures.Count > 0 ? [] : new[] { _where }, .. _remarks]));

    /// <summary>Says what the case holds that was not compared; a case that is otherwise right still passes.</summary>
    public void Remark(string remark) => _remarks.Add(remark);

    /// <summary>Says what part of the case the project cannot compute yet: without failures it counts as unsupported.</summary>
    public void Incomplete(string reason)
    {
        _isIncomplete = true;
        _remarks.Add(reason);
    }

    public void Fail(string failure)
    {
        Checks++;
        _failures.Add(failure);
    }

    /// <summary>A fact that is not a number.</summary>
    public void Same<T>(string what, T actual, T golden)
    {
        Checks++;
        if (!EqualityComparer<T>.Default.Equals(actual, golden))
        {
            _failures.Add($"{what} is {actual} but the golden says {golden}");
        }
    }

    /// <summary>A list of facts, in order.</summary>
    public void SameList<T>(string what, IEnumerable<T> actual, IEnumerable<T> golden)
    {
        var (own, expected) = (actual.ToList(), golden.ToList());
        var at = Enumerable.Range(0, Math.Max(own.Count, expected.Count))
            .FirstOrDefault(i => i >= own.Count || i >= expected.Count || !EqualityComparer<T>.Default.Equals(own[i], expected[i]), -1);
        Same(at < 0 ? what : $"{what}[{at}] of {own.Count}",
            at < 0 ? "equal" : $"{own.Skip(at).Select(v => v!.ToString()).FirstOrDefault("missing")}",
            at < 0 ? "equal" : $"{expected.Skip(at).Select(v => v!.ToString()).FirstOrDefault("missing")}");
    }

    public void Close(string what, Tensor actual, HostTensor golden, Tolerance tolerance)
        => Close(what, StateLoader.ToHost(actual), golden, tolerance);

    public void Close(string what, HostTensor actual, HostTensor golden, Tolerance tolerance)
    {
        if (!actual.Shape.SequenceEqual(golden.Shape))
        {
            Fail($"{what} has shape {HostTensor.Describe(actual.Shape)} but the golden {HostTensor.Describe(golden.Shape)}");
            return;
        }

        Close(what, actual.ToDoubles(), golden.ToDoubles(), golden.Shape, tolerance);
    }

    public void Close(string what, double actual, double golden, Tolerance tolerance) => Close(what, [actual], [golden], [], tolerance);

    /// <param name="what">Name for messages.</param>
    /// <param name="actual">What the project computes.</param>
    /// <param name="golden">What was recorded.</param>
    /// <param name="shape">Shape of both, for the index in messages.</param>
    /// <param name="tolerance">Allowed difference per element.</param>
    /// <param name="outliers">This share of the elements may differ by up to <paramref name="outlierLimit"/> instead.</param>
    /// <param name="outlierLimit">Largest difference of an outlier.</param>
    public void Close(
        string what, double[] actual, double[] golden, IReadOnlyList<long> shape, Tolerance tolerance, double outliers = 0, double outlierLimit = 0)
    {
        Checks++;
        if (actual.Length != golden.Length)
        {
            _failures.Add($"{what} has {actual.Length} elements but the golden {golden.Length}");
            return;
        }

        var (worst, worstExcess, worstExcessAt, beyond, allowed) = (-1.0, 0.0, -1, 0, (int)(outliers * golden.Length));
        for (var i = 0; i < golden.Length; i++)
        {
            var difference = Difference(actual[i], golden[i]);
            if (difference > worst)
            {
                worst = difference;
                Record(what, difference, i, shape);
            }

            var excess = difference - Limit(tolerance, golden[i]);
            if (!(excess <= 0))
            {
                beyond++;
                if (!(difference <= outlierLimit))
                {
                    allowed = 0;
                }

                if (worstExcessAt < 0 || excess > worstExcess)
                {
                    (worstExcess, worstExcessAt) = (excess, i);
                }
            }
        }

        if (beyond > allowed)
        {
            var (a, g) = (actual[worstExcessAt], golden[worstExcessAt]);
            _failures.Add(
                $"{what}{Index(worstExcessAt, shape)} is {a:R} but the golden {g:R}: {Difference(a, g):G3} apart, allowed {Limit(tolerance, g):G3} "
                + $"({beyond} of {golden.Length} differ)");
        }
    }

    private static double Limit(Tolerance tolerance, double golden)
        => double.IsFinite(golden) ? tolerance.Absolute + (tolerance.Relative * Math.Abs(golden)) : 0;

    private static double Difference(double actual, double golden)
        => actual.Equals(golden) ? 0 : double.IsFinite(actual) && double.IsFinite(golden) ? Math.Abs(actual - golden) : double.PositiveInfinity;

    /// <summary>"[2, 0, 5]" of a flat C-order index; nothing for a scalar.</summary>
    private static string Index(long flat, IReadOnlyList<long> shape)
    {
        var index = new long[shape.Count];
        for (var axis = shape.Count - 1; axis >= 0; axis--)
        {
            (flat, index[axis]) = Math.DivRem(flat, shape[axis]);
        }

        return shape.Count == 0 ? "" : HostTensor.Describe(index);
    }

    private void Record(string what, double difference, int at, IReadOnlyList<long> shape)
    {
        if (difference > MaxError)
        {
            MaxError = difference;
            _where = $"largest at {what}{Index(at, shape)}";
        }
    }
}
