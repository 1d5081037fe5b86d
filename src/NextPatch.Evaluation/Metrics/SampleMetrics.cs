using NextPatch.Data.Sources;
using NextPatch.Evaluation.Networks;

namespace NextPatch.Evaluation.Metrics;

/// <summary>How good generated images of requested classes are, judged by a classifier that was trained on real images.</summary>
/// <param name="ClassAgreement">Share of samples that the classifier puts in the requested class.</param>
/// <param name="ReconstructionAgreement">Share of reconstructed held-out images put in their own class: the ceiling that the tokenizer sets.</param>
/// <param name="Diversity">
/// <see cref="Metrics.Diversity.Ratio"/> of the agreeing samples against real held-out images, in the classifier's 64 features;
/// 0.6 to 1.3 is healthy. Null where no class has two agreeing samples.
/// </param>
/// <param name="CopyRate"><see cref="CopyDetector.CopyRate"/>; a generator that does not memorise gives about 0.01.</param>
internal sealed record SampleMetrics(double ClassAgreement, double ReconstructionAgreement, double? Diversity, double CopyRate)
{
    /// <summary>Computes all of them.</summary>
    /// <param name="classifier">Trained on real images of the dataset.</param>
    /// <param name="samples">Generated images with the requested classes as labels.</param>
    /// <param name="heldOut">Real images that no training saw.</param>
    /// <param name="heldOutReconstructions">uint8, the same images through the tokenizer.</param>
    /// <param name="trainReconstructions">uint8, the generator's training images through the tokenizer (why: <see cref="CopyDetector"/>).</param>
    /// <param name="cancellation">Checked between batches.</param>
    public static SampleMetrics Compute(
        SmallClassifier classifier,
        ImageDataset samples,
        ImageDataset heldOut,
        ReadOnlyMemory<byte> heldOutReconstructions,
        ReadOnlyMemory<byte> trainReconstructions,
        CancellationToken cancellation = default)
    {
        var judged = classifier.Classify(samples.Pixels, cancellation);
        var real = classifier.Classify(heldOut.Pixels, cancellation);
        var reconstructed = classifier.Classify(heldOutReconstructions, cancellation);
        var agreeing = Enumerable.Range(0, samples.Count).Where(i => judged.Labels[i] == samples.Labels[i]).ToArray();
        float[] features = [.. agreeing.SelectMany(i => judged.Features.Skip(i * SmallClassifier.FeatureCount).Take(SmallClassifier.FeatureCount))];
        return new SampleMetrics(
            judged.AgreementWith(samples.Labels),
            reconstructed.AgreementWith(heldOut.Labels),
            Metrics.Diversity.Ratio(features, [.. agreeing.Select(i => samples.Labels[i])], real.Features, heldOut.Labels),
            CopyDetector.CopyRate(samples.Pixels, heldOutReconstructions, trainReconstructions, samples.Side * samples.Side * 3, cancellation));
    }
}
