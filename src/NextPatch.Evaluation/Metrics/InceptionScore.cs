using NextPatch.Core;

namespace NextPatch.Evaluation.Metrics;

// Shape letters used in this file: N images, C classes.

/// <summary>
/// Inception Score (Salimans et al. 2016): exp of the mean divergence of an image's class probabilities from the mean ones, image by image as
/// they come, in float64. Computed in splits of consecutive images; parts made apart can be merged.
/// </summary>
/// <remarks>
/// Two conventions differ by some percent: the published evaluator's splits of 5,000 images, the last one as long as it is and of equal weight
/// (<see cref="InceptionScore(int, int, long)"/>), and ten splits of whatever there is (<see cref="InTenSplits"/>). A probability that is zero in
/// float64 contributes nothing here; in the evaluator it makes the score NaN. One thread at a time.
/// </remarks>
public sealed class InceptionScore
{
    private readonly int _classes;
    private readonly Func<long, long> _splitOf;
    private readonly SortedDictionary<long, Split> _splits = [];
    private long _next;

    /// <summary>The published evaluator's convention.</summary>
    /// <param name="classCount">C.</param>
    /// <param name="splitSize">Images per split.</param>
    /// <param name="first">Number of the first image that is added, where another accumulator sees those before it.</param>
    public InceptionScore(int classCount, int splitSize = 5000, long first = 0)
        : this(classCount, first, image => image / splitSize) => ArgumentOutOfRangeException.ThrowIfNegativeOrZero(splitSize);

    private InceptionScore(int classCount, long first, Func<long, long> splitOf)
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(classCount, 2);
        ArgumentOutOfRangeException.ThrowIfNegative(first);
        (_classes, _next, _splitOf) = (classCount, first, splitOf);
    }

    /// <summary>Images so far.</summary>
    public long Count => _splits.Values.Sum(s => s.Count);

    /// <summary>The convention of ten splits: split k holds images k N / 10 to (k + 1) N / 10 (Salimans et al., published code).</summary>
    /// <param name="classCount">C.</param>
    /// <param name="imageCount">N, at least 10: how many images there will be in all.</param>
    /// <param name="first">Number of the first image that is added, where another accumulator sees those before it.</param>
    /// <exception cref="NextPatchException">Fewer than ten images.</exception>
    public static InceptionScore InTenSplits(int classCount, long imageCount, long first = 0) => imageCount >= 10
        ? new InceptionScore(classCount, first, image => ((10 * (image + 1)) - 1) / imageCount)
        : throw new NextPatchException($"An Inception Score in ten splits needs at least 10 images but there are {imageCount}.");

    /// <summary>Adds images by their logits.</summary>
    /// <param name="rows">[N, C].</param>
    /// <exception cref="NextPatchException">Not whole rows, or a value is not finite.</exception>
    public void AddLogits(ReadOnlySpan<float> rows)
    {
        FeatureRows.Check(rows, _classes, _next);
        var logProbabilities = new double[_classes];
        for (; !rows.IsEmpty; rows = rows[_classes..])
        {
            var largest = double.NegativeInfinity;
            foreach (var logit in rows[.._classes])
            {
                largest = Math.Max(largest, logit);
            }

            var sum = 0.0;
            foreach (var logit in rows[.._classes])
            {
                sum += Math.Exp(logit - largest);
            }

            var normaliser = largest + Math.Log(sum);
            for (var c = 0; c < _classes; c++)
            {
                logProbabilities[c] = rows[c] - normaliser;
            }

            Add(logProbabilities);
        }
    }

    /// <summary>Adds the images that another of the same convention has seen, which stays as it is.</summary>
    /// <exception cref="NextPatchException">The numbers of classes differ.</exception>
    public void Merge(InceptionScore other)
    {
        if (other._classes != _classes)
        {
            throw new NextPatchException(
                $"Inception Scores over {other._classes} and {_classes} classes cannot be merged; both must come from one network.");
        }

        foreach (var (key, split) in other._splits)
        {
            At(key).Merge(split);
        }

        _next = Math.Max(_next, other._next);
    }

    /// <summary>The score: mean over the splits, and their standard deviation (of the splits themselves, not an estimate for others).</summary>
    /// <exception cref="NextPatchException">There are no images.</exception>
    public (double Mean, double StandardDeviation) Compute()
    {
        if (_splits.Count == 0)
        {
            throw new NextPatchException("There is no Inception Score of 0 images; add images first.");
        }

        var scores = _splits.Values.Select(s => s.Score()).ToArray();
        var mean = scores.Average();
        return (mean, Math.Sqrt(scores.Average(s => (s - mean) * (s - mean))));
    }

    private void Add(double[] logProbabilities) => At(_splitOf(_next++)).Add(logProbabilities);

    private Split At(long key)
    {
        if (!_splits.TryGetValue(key, out var split))
        {
            _splits[key] = split = new Split(_classes);
        }

        return split;
    }

    private sealed class Split(int classes)
    {
        private readonly double[] _probabilities = new double[classes];
        private double _negativeEntropy;

        public long Count { get; private set; }

        public void Add(double[] logProbabilities)
        {
            for (var c = 0; c < logProbabilities.Length; c++)
            {
                var probability = Math.Exp(logProbabilities[c]);
                _probabilities[c] += probability;
                _negativeEntropy += probability > 0 ? probability * logProbabilities[c] : 0;
            }

            Count++;
        }

        public void Merge(Split other)
        {
            for (var c = 0; c < _probabilities.Length; c++)
            {
                _probabilities[c] += other._probabilities[c];
            }

            _negativeEntropy += other._negativeEntropy;
            Count += other.Count;
        }

        public double Score()
        {
            var marginal = _probabilities.Where(p => p > 0).Sum(p => p / Count * Math.Log(p / Count));
            return Math.Exp((_negativeEntropy / Count) - marginal);
        }
    }
}
