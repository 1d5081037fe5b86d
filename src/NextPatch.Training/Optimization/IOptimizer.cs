using NextPatch.Core;
using NextPatch.Core.Tensors;

namespace NextPatch.Training.Optimization;

/// <summary>
/// AdamW with the published groups (weight decay on tensors of two or more dimensions), clipping to a global norm, and the exponential moving
/// average of the weights: <see cref="AdamW"/> in the processor's memory, <see cref="FlatAdamW"/> by a few operations of any device.
/// </summary>
internal interface IOptimizer
{
    /// <summary>Updates done.</summary>
    long StepCount { get; }

    /// <summary>Updates done before the moments were last reset.</summary>
    long StepsBeforeMoments { get; }

    /// <summary>Whether an EMA of the weights is kept.</summary>
    bool HasAverage { get; }

    /// <summary>Global norm of the gradients; parameters without a gradient count as zero.</summary>
    double GradientNorm();

    /// <summary>Sum of the squares of the gradients, or of the parts of them that are used here.</summary>
    double SumOfSquares();

    /// <summary>Applies the gradients and drops them.</summary>
    /// <param name="learningRate">This step's rate.</param>
    /// <param name="gradientNorm">What <see cref="GradientNorm"/> returned.</param>
    void Step(double learningRate, double gradientNorm);

    /// <summary>Forgets the gradients without applying them.</summary>
    void DropGradients();

    /// <summary>Forgets the moments of all parameters, as if no update had been made; the average stays.</summary>
    void ResetMoments();

    /// <summary>
    /// Forgets what is remembered of some rows of a parameter whose weights were replaced: moments become zero, the average the weights.
    /// </summary>
    /// <param name="name">State key of the parameter.</param>
    /// <param name="rows">Indices in its first dimension.</param>
    void RestartRows(string name, ReadOnlySpan<long> rows);

    /// <summary>Moments by their keys in a checkpoint, where they lie: not copied, so they change with the next step.</summary>
    IEnumerable<KeyValuePair<string, StoredTensor>> Moments();

    /// <summary>The EMA weights by state key, in place, not copied.</summary>
    IEnumerable<KeyValuePair<string, StoredTensor>> Average();

    /// <summary>A copy of <see cref="Moments"/>.</summary>
    IEnumerable<KeyValuePair<string, HostTensor>> CaptureMoments() => Moments().Select(p => KeyValuePair.Create(p.Key, p.Value.Read()));

    /// <summary>A copy of the EMA weights by state key.</summary>
    IEnumerable<KeyValuePair<string, HostTensor>> CaptureAverage() => Average().Select(p => KeyValuePair.Create(p.Key, p.Value.Read()));

    /// <summary>Restores moments, average and counts of steps.</summary>
    /// <param name="moments">Whole moments by their keys in a checkpoint, each asked for once and in the order of the parameters.</param>
    /// <param name="average">The same of the EMA weights.</param>
    /// <param name="stepCount">Updates done.</param>
    /// <param name="source">The checkpoint, for messages.</param>
    /// <param name="stepsBeforeMoments">Updates before the moments were last reset.</param>
    /// <exception cref="DataFormatException">A tensor is missing, has another shape, or is not finite.</exception>
    void Restore(
        Func<string, HostTensor?> moments, Func<string, HostTensor?>? average, long stepCount, string source, long stepsBeforeMoments);

    /// <inheritdoc cref="Restore(Func{string, HostTensor}, Func{string, HostTensor}, long, string, long)"/>
    void Restore(
        IReadOnlyDictionary<string, HostTensor> moments, IReadOnlyDictionary<string, HostTensor>? average, long stepCount, string source,
        long stepsBeforeMoments = 0)
        => Restore(moments.GetValueOrDefault, average is null ? null : average.GetValueOrDefault, stepCount, source, stepsBeforeMoments);

    /// <summary>Exchanges weights and average: once to look at the average, once more before training goes on.</summary>
    /// <remarks>bf16 copies stay as they are: whoever computes with them must renew them.</remarks>
    void SwapAverage();
}
