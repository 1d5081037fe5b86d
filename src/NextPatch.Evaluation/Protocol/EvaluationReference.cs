using NextPatch.Core;
using NextPatch.Evaluation.Metrics;

namespace NextPatch.Evaluation.Protocol;

/// <summary>What samples are measured against: statistics, the features of images, or both, as the published npz hold them.</summary>
/// <param name="Statistics">Used for Fréchet distances where there are any; else those of <paramref name="Images"/> are.</param>
/// <param name="Images">Needed for precision, recall and the kernel distance.</param>
internal sealed record EvaluationReference(StoredStatistics? Statistics, FeatureSet? Images)
{
    /// <summary>What figures name as their reference.</summary>
    public ImageOrigin Origin => Statistics?.Images ?? Images!.Images;

    /// <summary>Of the pooled features.</summary>
    /// <exception cref="NextPatchException">Stored statistics cannot be used.</exception>
    public FeatureStatistics Pooled => Statistics is { } s ? FeatureStatistics.From(s.Mean, s.Covariance) : Images!.Pooled;

    /// <summary>Of the spatial features; null where there are none.</summary>
    public FeatureStatistics? Spatial => Statistics is null ? Images!.Spatial
        : Statistics is { SpatialMean: { } mean, SpatialCovariance: { } covariance } ? FeatureStatistics.From(mean, covariance)
        : null;

    /// <summary>Refuses a reference that samples cannot be compared with.</summary>
    /// <param name="samples">How the samples' features came about.</param>
    /// <param name="width">Number of pooled features.</param>
    /// <exception cref="ConfigException">Lists what differs.</exception>
    public void RequireFit(FeatureOrigin samples, int width)
    {
        var problems = new List<string>();
        if (Statistics is { } stored)
        {
            if (stored.Features is { } features)
            {
                problems.AddRange(samples.DifferencesFrom(features));
            }
            else
            {
                problems.AddRange(Unknown(stored, samples, width));
            }
        }

        if (Images is not null)
        {
            problems.AddRange(samples.DifferencesFrom(Images.Features));
        }

        if (problems.Count > 0)
        {
            throw new ConfigException([.. problems.Distinct()]) { Settings = FeatureOrigin.Settings };
        }
    }

    /// <summary>Statistics without a word on their origin, as they are published: those of Inception's size are the ADM evaluator's.</summary>
    private static IEnumerable<string> Unknown(StoredStatistics stored, FeatureOrigin samples, int width)
    {
        if (stored.Mean.Length != width)
        {
            yield return $"The reference {stored.Images.Name} holds statistics of {stored.Mean.Length} features but {samples.Network} has {width}; "
                + $"they were made with another network.";
        }
        else if (stored.SpatialMean is not null && samples.Resize != "adm")
        {
            yield return $"The reference {stored.Images.Name} holds statistics of the ADM evaluator, whose resize is 'adm', but these images are "
                + $"resized by '{samples.Resize}'; say Resize adm, or name a reference of images.";
        }

        if (samples.IsGrey == true)
        {
            yield return "Every sample is grey (one channel, or R = G = B), and the reference does not say that it is; convert the samples, or "
                + "name a grey reference.";
        }
    }
}
