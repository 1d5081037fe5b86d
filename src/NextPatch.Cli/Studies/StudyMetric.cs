using System.Globalization;
using NextPatch.Core;
using NextPatch.Core.Generation;
using NextPatch.Evaluation;
using NextPatch.Evaluation.Protocol;

namespace NextPatch.Cli.Studies;

/// <summary>What a study measures drawn images by, opened once for all of its runs.</summary>
internal sealed class StudyMetric : IDisposable
{
    private readonly StudyMetricSettings _settings;
    private readonly TrainingMetric _metric;

    private StudyMetric(StudyMetricSettings settings, TrainingMetric metric) => (_settings, _metric) = (settings, metric);

    /// <param name="settings">What the file says.</param>
    /// <param name="codes">Folder of the codes; their held-out images are the reference where none is named.</param>
    /// <param name="tokenizer">Folder of their tokenizer.</param>
    /// <param name="progress">Is told what is read.</param>
    /// <param name="cancellation">Stops reading the reference.</param>
    /// <exception cref="NextPatchException">Something is missing, or cannot be compared.</exception>
    public static StudyMetric Open(
        StudyMetricSettings settings, string codes, string tokenizer, IProgress<EvaluationProgress>? progress, CancellationToken cancellation)
    {
        var options = new ImageEvaluationOptions
        {
            Network = settings.Network, Weights = settings.Weights, Metrics = MetricChoice.Parse(settings.Metrics), Tokenizer = tokenizer,
            ReferencePart = settings.ReferencePart ?? (settings.Reference is null ? "test" : null),
            Drawing = new ImageRequest { Count = settings.Count, Seed = settings.Seed },
        };
        return new StudyMetric(
            settings, ImageEvaluator.OpenMetric(settings.Reference ?? codes, tokenizer, options, progress, cancellation));
    }

    /// <summary>The reported figures: the judge's own seed.</summary>
    public IGenerationMetric For(double? guidance)
        => _metric.For(new ImageRequest { Count = _settings.Count, Seed = _settings.Seed, GuidanceScale = guidance });

    /// <summary>The distance by which guidance is chosen.</summary>
    /// <param name="engine">Draws.</param>
    /// <param name="guidance">The scale that is tried.</param>
    /// <param name="tuning">Seed and number of the images.</param>
    /// <param name="cancellation">Ends it.</param>
    public double Distance(IGenerationEngine engine, double guidance, StudyTuning tuning, CancellationToken cancellation)
    {
        var metric = _metric.For(new ImageRequest { Count = tuning.Count, Seed = tuning.Seed, GuidanceScale = guidance });
        var figures = metric.Measure(engine, cancellation);
        return figures.FirstOrDefault(f => IsDistance(f.Key)) is { Key: not null } distance ? distance.Value
            : throw new ConfigException(string.Create(CultureInfo.InvariantCulture,
                $"The metrics '{_settings.Metrics}' hold no distance that guidance could be chosen by; add fd."));
    }

    /// <summary>Whether a figure is the Fréchet distance: fid, fd-resnet20.</summary>
    public static bool IsDistance(string figure) => figure == "fid" || figure.StartsWith("fd-", StringComparison.Ordinal);

    public void Dispose() => _metric.Dispose();
}
