using System.Globalization;
using NextPatch.Evaluation.Networks;

namespace NextPatch.Evaluation.Protocol;

/// <summary>What a person should know before they believe or compare a figure.</summary>
internal static class ProtocolWarnings
{
    // Below, the covariance of 2,048 Inception features has no full rank, and every Fréchet distance is far too large.
    private const int FewImages = 2048;
    private static readonly string[] ValidationNames = ["val", "validation", "test"];

    public static IEnumerable<string> For(
        ImageSet samples, FeatureSet features, EvaluationReference reference, IFeatureNetwork network, IReadOnlySet<EvaluationMetric> metrics)
        => [
            .. BuiltIn(network),
            .. Few(samples.Name, samples.Count, network),
            .. reference.Origin.Images is { } count ? Few(reference.Origin.Name, count, network) : [],
            .. features.Warnings,
            .. reference.Images?.Warnings ?? [],
            .. Unknown(reference),
            .. Grey(features),
            .. Parts(samples, reference.Origin),
            .. Order(samples, metrics),
            .. Same(features, reference)];

    private static IEnumerable<string> BuiltIn(IFeatureNetwork network)
    {
        if (network.Name == FeatureNetworks.BuiltIn)
        {
            yield return $"The features are those of {network.Name}, a small classifier that ships with the program: compare such figures with "
                + $"each other only; they are no FID.";
        }
    }

    private static IEnumerable<string> Few(string name, int count, IFeatureNetwork network)
    {
        if (count < FewImages)
        {
            yield return $"{name} has {Number(count)} images, fewer than {Number(FewImages)}: distances are biased upwards by that alone. Compare "
                + $"only with figures of as many images, and report none as FID-50k.";
        }

        if (count <= network.FeatureCount && network.FeatureCount > FewImages)
        {
            yield return $"{name} has {Number(count)} images for {Number(network.FeatureCount)} features: their covariance has no full rank.";
        }
    }

    private static IEnumerable<string> Unknown(EvaluationReference reference)
    {
        if (reference.Statistics is { Features: null } stored)
        {
            yield return $"The statistics in {stored.Images.Name} do not say with which weights, resize and image size they were made; that they "
                + $"fit is taken on trust (SHA-256 of the file: {stored.Images.Hash}).";
        }
    }

    private static IEnumerable<string> Grey(FeatureSet features)
    {
        if (features.Features.IsGrey == true)
        {
            yield return "All images are grey; the networks were trained on colours, so distances say less.";
        }
    }

    /// <summary>Generated images are measured against the training part, reconstructions against their originals.</summary>
    private static IEnumerable<string> Parts(ImageSet samples, ImageOrigin reference)
    {
        var part = PartOf(reference);
        if (samples.Drawing is not null && part == "test")
        {
            yield return $"{reference.Name} looks like a validation part, but figures of generated images are published against the training part; "
                + $"do not compare across.";
        }

        if (samples.IsReconstruction && samples.Part is { } own && part is not null && part != own)
        {
            yield return $"The reconstructions are of the {own} part, but the reference is the {part} part; a reconstruction distance is measured "
                + $"against the originals of the same images.";
        }

        if (samples is { IsReconstruction: false, Drawing: null, Part: { } stored } && part is not null && part != stored)
        {
            yield return $"The samples are the {stored} part and the reference the {part} part: this measures the two parts against each other, "
                + $"not a generator.";
        }
    }

    private static IEnumerable<string> Order(ImageSet samples, IReadOnlySet<EvaluationMetric> metrics)
    {
        if (metrics.Contains(EvaluationMetric.InceptionScore) && samples.Labels is { } labels
            && labels.Zip(labels.Skip(1)).All(pair => pair.First <= pair.Second)
            && labels[0] != labels[^1] && labels.Count > 5000)
        {
            yield return "The samples lie sorted by class, and the Inception Score is computed over splits of 5,000 in this order: each split sees "
                + "few classes and the score is too low. Mix them.";
        }
    }

    private static IEnumerable<string> Same(FeatureSet samples, EvaluationReference reference)
    {
        if (samples.Images.Hash == reference.Origin.Hash)
        {
            yield return "Samples and reference are the same images.";
        }
    }

    private static string? PartOf(ImageOrigin origin)
    {
        var words = origin.Name.ToLowerInvariant().Split(['_', '-', '.', ' ']);
        return origin.Part ?? (words.Intersect(ValidationNames).Any() ? "test" : words.Contains("train") ? "train" : null);
    }

    private static string Number(int value) => value.ToString("N0", CultureInfo.InvariantCulture);
}
