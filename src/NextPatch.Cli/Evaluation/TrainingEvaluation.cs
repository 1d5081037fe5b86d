using System.CommandLine;
using System.Globalization;
using NextPatch.Cli.Rendering;
using NextPatch.Core;
using NextPatch.Core.Configuration;
using NextPatch.Core.Generation;
using NextPatch.Core.Sampling;
using NextPatch.Evaluation.Networks;
using NextPatch.Evaluation.Protocol;

namespace NextPatch.Cli.Evaluation;

/// <summary>What <c>train --evaluate-every</c> needs: network, reference, and the metric that training calls.</summary>
internal sealed class TrainingEvaluation : IDisposable
{
    private readonly IFeatureNetwork _network;

    private TrainingEvaluation(IFeatureNetwork network, TrainingMetric metric) => (_network, Metric) = (network, metric);

    public IGenerationMetric Metric { get; }

    /// <summary>Opens network and reference, before the run starts.</summary>
    /// <param name="options">What to measure against.</param>
    /// <param name="parsed">The command line.</param>
    /// <param name="count">Images per measurement.</param>
    /// <param name="config">The model's; gives classes and seed.</param>
    /// <param name="tokenizer">Turns codes into images; stays the caller's.</param>
    /// <param name="progress">Receives a line per measurement.</param>
    /// <param name="cancellation">Stops reading the reference.</param>
    /// <exception cref="ConfigException">No reference, or one that images of this model cannot be compared with.</exception>
    public static TrainingEvaluation Open(
        MeasureOptions options, ParseResult parsed, int count, CheckpointConfig config, IImageTokenizer tokenizer, ProgressReporter progress, CancellationToken cancellation)
    {
        if (count < 2 || parsed.GetValue(options.Reference) is null)
        {
            throw new ConfigException(count < 2
                ? $"--evaluate-count {count} must be at least 2, and says something from some thousands on."
                : "--evaluate-every needs something to measure against: name it with --reference, and the feature network with --weights.");
        }

        var network = options.OpenNetwork(parsed);
        try
        {
            var side = tokenizer.Config.ImageSide;
            var metrics = options.Metrics(parsed) ?? new HashSet<EvaluationMetric> { EvaluationMetric.Fd };
            var reference = options.OpenReference(parsed, network, metrics, FeatureOrigin.From(network, (side, side)), areSamplesCropped: false, progress, cancellation);
            var request = new GenerationRequest
            {
                Labels = [.. Enumerable.Range(0, count).Select(i => i % config.Model.ClassCount)],
                Seed = config.Training!.Seed,
                Sampling = new SamplingConfig { GuidanceScale = config.Model.HasNullClass ? 2 : 1 },
            };
            return new TrainingEvaluation(network, new TrainingMetric(
                new Evaluator(network, reference, metrics), tokenizer, request, () => progress.For($"Measuring, {network.Name}", count), result => progress.WriteLine(Describe(result))));
        }
        catch
        {
            network.Dispose();
            throw;
        }
    }

    public void Dispose() => _network.Dispose();

    private static string Describe(EvaluationResult result)
        => $"{string.Join(", ", FigureNames.From(result).Select(f => string.Create(CultureInfo.InvariantCulture, $"{f.Name} {f.Value:0.####}")))} of {result.Protocol.Images} images.";
}
