using System.CommandLine;
using System.Globalization;
using NextPatch.Cli.Rendering;
using NextPatch.Core;
using NextPatch.Core.Generation;
using NextPatch.Data.Codes;
using NextPatch.Evaluation;
using NextPatch.Evaluation.Networks;
using NextPatch.Evaluation.Protocol;
using NextPatch.Training;
using NextPatch.Training.Gpt;

namespace NextPatch.Cli.Training;

/// <summary>What <c>--evaluate-every</c> measures, and against what: from the command line, or from what a run remembers of it.</summary>
/// <param name="Reference">What images are measured against; null = not said.</param>
/// <param name="Count">Images to draw.</param>
/// <param name="How">Network, metrics, size.</param>
internal sealed record MetricOptions(string? Reference, int Count, ImageEvaluationOptions How)
{
    /// <summary>Captions that are drawn, in turn: features of more would only take memory.</summary>
    private const int MostPrompts = 256;

    /// <param name="options">Of the command.</param>
    /// <param name="parsed">The command line: what it gives wins.</param>
    /// <param name="remembered">By names of properties; null: nothing.</param>
    public static MetricOptions Read(TrainOptions options, ParseResult parsed, IReadOnlyDictionary<string, string>? remembered)
    {
        string? Of(string name) => remembered?.GetValueOrDefault(name);
        var given = options.Measure.Read(parsed);
        var count = parsed.GetRequiredValue(options.EvaluateCount);
        if (parsed.GetResult(options.EvaluateCount) is null or { Implicit: true }
            && int.TryParse(Of(nameof(Count)), CultureInfo.InvariantCulture, out var before))
        {
            count = before;
        }

        return new MetricOptions(parsed.GetValue(options.Measure.Reference) ?? Of(nameof(Reference)), count, given with
        {
            ReferencePart = given.ReferencePart ?? Of(nameof(given.ReferencePart)),
            Network = given.Network ?? Of(nameof(given.Network)),
            Weights = given.Weights ?? Of(nameof(given.Weights)),
            Resize = given.Resize ?? (Enum.TryParse<ResizeProtocol>(Of(nameof(given.Resize)), out var resize) ? resize : null),
            Metrics = given.Metrics ?? MetricChoice.Parse(Of(nameof(given.Metrics))),
            ImageSize = given.ImageSize ?? (int.TryParse(Of(nameof(given.ImageSize)), CultureInfo.InvariantCulture, out var side) ? side : null),
        });
    }

    /// <summary>All of it by name, as a run remembers it; paths in full.</summary>
    public IReadOnlyDictionary<string, string> ToRecord() => new (string Name, string? Value)[]
    {
        (nameof(Reference), Full(Reference)), (nameof(Count), Count.ToString(CultureInfo.InvariantCulture)),
        (nameof(How.ReferencePart), How.ReferencePart),
        (nameof(How.Network), How.Network), (nameof(How.Weights), Full(How.Weights)), (nameof(How.Resize), How.Resize?.ToString()),
        (nameof(How.Metrics), How.Metrics is null ? null : string.Join(',', How.Metrics.Select(MetricChoice.NameOf))),
        (nameof(How.ImageSize), How.ImageSize?.ToString(CultureInfo.InvariantCulture)),
    }.Where(p => p.Value is not null).ToDictionary(p => p.Name, p => p.Value!);

    /// <summary>Opens what measures.</summary>
    /// <param name="codes">Their tokenizer makes the images.</param>
    /// <param name="textFeatures">Captions to draw, of a model of captions; none for classes.</param>
    /// <param name="tokenizer">Another place of it; null: where the codes say it lies.</param>
    /// <param name="seed">Of the images.</param>
    /// <param name="device">What computes features.</param>
    /// <param name="progress">Is told what happens.</param>
    /// <param name="cancellation">Stops reading the reference.</param>
    /// <exception cref="ConfigException">Something is not said, or cannot be measured.</exception>
    public TrainingMetric Open(
        string codes, IReadOnlyList<TextFeatureSet> textFeatures, string? tokenizer, ulong seed, string device, ProgressReporter progress,
        CancellationToken cancellation)
    {
        var found = GptTraining.FindTokenizer(tokenizer, codes);
        if (Count < 2 || Reference is null)
        {
            throw new ConfigException(Count < 2
                ? $"--evaluate-count {Count} must be at least 2, and says something from some thousands on."
                : "--evaluate-every needs something to measure against: name it with --reference, and the feature network with --weights.");
        }

        IReadOnlyList<PromptFeatures>? prompts = null;
        if (textFeatures.Count > 0)
        {
            using var store = CodeStore.Open(codes);
            using var captions = TrainingCaptions.Open(store, textFeatures);
            prompts = captions.Prompts(Math.Min(Count, MostPrompts));
        }

        var options = How with
        {
            Drawing = new ImageRequest { Count = Count, Seed = seed },
            PromptFeatures = prompts,
            Device = device,
            OnNote = progress.WriteLine,
        };
        return ImageEvaluator.OpenMetric(Reference, found, options, progress.ForEvaluation(), cancellation);
    }

    private static string? Full(string? path) => path is null ? null : Path.GetFullPath(path);
}
