using System.Globalization;
using NextPatch.Core.Configuration;
using NextPatch.Core.Generation;
using NextPatch.Evaluation.Networks;

namespace NextPatch.Evaluation.Protocol;

/// <summary>Distances of images that a model draws while it is trained: the same images, by seed and class, each time.</summary>
public sealed class TrainingMetric : IGenerationMetric, IDisposable
{
    private readonly IFeatureNetwork _network;
    private readonly Evaluator _evaluator;
    private readonly IImageTokenizer _tokenizer;
    private readonly ImageRequest _request;
    private readonly Action<string>? _onNote;
    private readonly IReadOnlyList<PromptFeatures>? _prompts;

    /// <param name="network">Disposed with this object.</param>
    /// <param name="evaluator">With network and reference.</param>
    /// <param name="tokenizer">Turns codes into images; disposed with this object.</param>
    /// <param name="request">What is drawn.</param>
    /// <param name="onNote">Receives a sentence per measurement.</param>
    /// <param name="prompts">What a model of captions draws, in turn; null for a model of classes.</param>
    internal TrainingMetric(
        IFeatureNetwork network, Evaluator evaluator, IImageTokenizer tokenizer, ImageRequest request, Action<string>? onNote,
        IReadOnlyList<PromptFeatures>? prompts = null)
    {
        (_network, _evaluator, _tokenizer, _onNote, _prompts) = (network, evaluator, tokenizer, onNote, prompts);
        _request = prompts is null ? request : request with { Count = request.Count, Prompts = [.. prompts.Select(p => p.Text)] };
    }

    /// <summary>Makes what receives the number of images done, anew for every measurement.</summary>
    internal Func<IProgress<int>?> Progress { get; init; } = () => null;

    /// <summary>The same measurement of other images. It lives as long as this object, which is the one to dispose of.</summary>
    internal IGenerationMetric For(ImageRequest request) => new TrainingMetric(_network, _evaluator, _tokenizer, request, _onNote, _prompts)
    {
        Progress = Progress,
    };

    /// <summary>Draws and measures.</summary>
    /// <returns>Figures by name: fid, fd-resnet20.</returns>
    public IReadOnlyDictionary<string, double> Measure(IGenerationEngine engine, CancellationToken cancellation)
    {
        using var images = new ModelImageSet(engine, _tokenizer, _request.For(new CheckpointConfig { Model = engine.Config }, _ => _prompts!))
        {
            Name = "run", Layout = "model",
        };
        var result = _evaluator.Measure(images, Progress(), cancellation: cancellation);
        var figures = FigureNames.From(result).ToArray();
        var text = figures.Select(f => string.Create(CultureInfo.InvariantCulture, $"{f.Name} {f.Value:0.####}"));
        _onNote?.Invoke($"{string.Join(", ", text)} of {result.Protocol.Images} images.");
        return figures.ToDictionary(f => f.Name.ToLowerInvariant().Replace(' ', '-'), f => f.Value);
    }

    /// <summary>Frees the network and the tokenizer.</summary>
    public void Dispose()
    {
        _network.Dispose();
        _tokenizer.Dispose();
    }
}
