using NextPatch.Core;
using NextPatch.Evaluation.Metrics;
using NextPatch.Evaluation.Networks;

namespace NextPatch.Evaluation.Protocol;

/// <summary>
/// Measures samples against a reference: runs them through the network, checks that a comparison makes sense, computes the figures.
/// </summary>
internal sealed class Evaluator
{
    private readonly IFeatureNetwork _network;
    private readonly EvaluationReference _reference;
    private readonly IReadOnlySet<EvaluationMetric> _metrics;
    private readonly ulong _seed;

    /// <param name="network">The network; stays the caller's.</param>
    /// <param name="reference">Made with the same network.</param>
    /// <param name="metrics">What was asked for; null = everything that is possible.</param>
    /// <param name="seed">Seed of the subsets of the kernel distance.</param>
    /// <exception cref="ConfigException">Something was asked for that is impossible.</exception>
    public Evaluator(IFeatureNetwork network, EvaluationReference reference, IReadOnlySet<EvaluationMetric>? metrics = null, ulong seed = 0)
        => (_network, _reference, _metrics, _seed) = (network, reference, MetricChoice.Resolve(metrics, network, reference), seed);

    /// <summary>Reads the samples once and measures them.</summary>
    /// <param name="samples">As large as the reference's images.</param>
    /// <param name="progress">Receives the number of images done.</param>
    /// <param name="onMetric">Told which figure is computed when all images are done: some take minutes.</param>
    /// <param name="cancellation">Reaches every loop.</param>
    /// <exception cref="ConfigException">The comparison would mislead; says why.</exception>
    /// <exception cref="NextPatchException">An image cannot be read, or its features are not finite.</exception>
    public EvaluationResult Measure(
        ImageSet samples, IProgress<int>? progress = null, Action<string>? onMetric = null, CancellationToken cancellation = default)
    {
        _reference.RequireFit(FeatureOrigin.From(_network, samples), _network.FeatureCount); // before hours of work
        var features = FeatureSet.Collect(_network, samples, MetricChoice.NeedsImages(_metrics), progress, cancellation);
        _reference.RequireFit(features.Features, _network.FeatureCount);
        var labels = LabelBalance(samples);
        var result = new EvaluationResult
        {
            Protocol = Describe(samples, features, labels),
            Warnings = [.. ProtocolWarnings.For(samples, features, _reference, _network, _metrics)],
        };
        return Compute(result, features, onMetric ?? (_ => { }), cancellation);
    }

    private EvaluationResult Compute(EvaluationResult result, FeatureSet samples, Action<string> onMetric, CancellationToken cancellation)
    {
        if (_metrics.Contains(EvaluationMetric.Fd) || _metrics.Contains(EvaluationMetric.Fid))
        {
            onMetric("Fréchet distance");
            var distance = FrechetDistance.Between(_reference.Pooled, samples.Pooled);
            result = result with { Fd = distance, Fid = _network.Name == MetricChoice.FidNetwork ? distance : null };
        }

        cancellation.ThrowIfCancellationRequested();
        if (_metrics.Contains(EvaluationMetric.Sfid))
        {
            onMetric("Fréchet distance of spatial features");
            result = result with { Sfid = FrechetDistance.Between(_reference.Spatial!, samples.Spatial!) };
        }

        if (_metrics.Contains(EvaluationMetric.InceptionScore))
        {
            var (mean, deviation) = samples.Score!.Compute();
            var tenSplits = samples.TenSplitScore?.Compute();
            result = result with
            {
                InceptionScore = mean,
                InceptionScoreDeviation = samples.Score.Count > result.Protocol.InceptionScoreSplit ? deviation : null,
                InceptionScoreTenSplits = tenSplits?.Mean,
                InceptionScoreTenSplitsDeviation = tenSplits?.StandardDeviation,
            };
        }

        return ComputePairwise(result, samples, onMetric, cancellation);
    }

    private EvaluationResult ComputePairwise(EvaluationResult result, FeatureSet samples, Action<string> onMetric, CancellationToken cancellation)
    {
        if (_metrics.Contains(EvaluationMetric.Precision) || _metrics.Contains(EvaluationMetric.Recall))
        {
            onMetric("precision and recall");
            var both = PrecisionRecall.Compute(
                _reference.Images!.Rows, samples.Rows, _network.FeatureCount, result.Protocol.Neighbours, cancellation);
            result = result with
            {
                Precision = _metrics.Contains(EvaluationMetric.Precision) ? both.Precision : null,
                Recall = _metrics.Contains(EvaluationMetric.Recall) ? both.Recall : null,
            };
        }

        if (_metrics.Contains(EvaluationMetric.Kid))
        {
            onMetric("kernel distance");
            var (mean, deviation) = KernelDistance.Compute(
                _reference.Images!.Rows, samples.Rows, _network.FeatureCount, _seed, result.Protocol.KidSubsets, result.Protocol.KidSubsetSize,
                    cancellation);
            result = result with { Kid = mean, KidDeviation = deviation };
        }

        return result;
    }

    private EvaluationProtocol Describe(ImageSet samples, FeatureSet features, string labels)
    {
        var smallest = Math.Min(samples.Count, _reference.Images?.Images.Images ?? int.MaxValue);
        var protocol = new EvaluationProtocol
        {
            Network = features.Features.Network,
            WeightsHash = features.Features.WeightsHash,
            Resize = features.Features.Resize,
            Images = samples.Count,
            ImageSize = [features.Features.Height, features.Features.Width],
            Labels = labels,
            Rounding = samples.Rounding,
            Samples = features.Images,
            Reference = _reference.Origin,
            ReferenceFeatures = MetricChoice.NeedsImages(_metrics) ? _reference.Images?.Images.Images : null,
            Seeds = new EvaluationSeeds(samples.Drawing?.Seed, _seed),
            Version = typeof(NextPatchException).Assembly.GetName().Version!.ToString(3),
        };
        return protocol with { KidSubsetSize = Math.Min(protocol.KidSubsetSize, smallest) };
    }

    /// <summary>How the classes are distributed; published figures differ between the two ways.</summary>
    /// <returns>balanced: as many images of each class; random: not so; unknown.</returns>
    private static string LabelBalance(ImageSet images)
    {
        if (images.Labels is not { Count: > 0 } labels)
        {
            return "unknown";
        }

        var counts = labels.CountBy(label => label).Select(pair => pair.Value).ToArray();
        return counts.Distinct().Count() == 1 && counts.Length == (images.ClassCount ?? counts.Length) ? "balanced" : "random";
    }
}
