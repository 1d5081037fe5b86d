namespace NextPatch.Evaluation.Networks;

/// <summary>What a classifier says about N images.</summary>
/// <param name="Labels">[N]: predicted classes.</param>
/// <param name="Features">[N, <see cref="SmallClassifier.FeatureCount"/>].</param>
public sealed record Classification(int[] Labels, float[] Features)
{
    /// <summary>Share of the predictions that equal the given labels, in [0, 1].</summary>
    /// <exception cref="ArgumentException">The counts differ, or there is none.</exception>
    public double AgreementWith(ReadOnlySpan<int> labels)
    {
        if (labels.Length != Labels.Length || labels.Length == 0)
        {
            throw new ArgumentException($"{Labels.Length} predictions cannot be compared with {labels.Length} labels.", nameof(labels));
        }

        var agreeing = 0;
        for (var i = 0; i < labels.Length; i++)
        {
            agreeing += Labels[i] == labels[i] ? 1 : 0;
        }

        return (double)agreeing / labels.Length;
    }
}
