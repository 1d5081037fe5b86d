using NextPatch.Core.Generation;
using NextPatch.Evaluation.Protocol;

namespace NextPatch.Cli.Evaluation;

/// <summary>Distances of images that a model draws while it is trained: the same images, by seed and class, each time.</summary>
internal sealed class TrainingMetric : IGenerationMetric
{
    private readonly Evaluator _evaluator;
    private readonly IImageTokenizer _tokenizer;
    private readonly GenerationRequest _request;
    private readonly Func<IProgress<int>> _progress;
    private readonly Action<EvaluationResult> _onResult;

    /// <param name="evaluator">With its reference; stays the caller's, as the tokenizer.</param>
    /// <param name="tokenizer">Turns codes into images.</param>
    /// <param name="request">What is drawn.</param>
    /// <param name="progress">Makes what receives the number of images done, anew for every measurement.</param>
    /// <param name="onResult">Receives every measurement.</param>
    public TrainingMetric(Evaluator evaluator, IImageTokenizer tokenizer, GenerationRequest request, Func<IProgress<int>> progress, Action<EvaluationResult> onResult)
        => (_evaluator, _tokenizer, _request, _progress, _onResult) = (evaluator, tokenizer, request, progress, onResult);

    public IReadOnlyDictionary<string, double> Measure(IGenerationEngine engine, CancellationToken cancellation)
    {
        using var images = new ModelImageSet(engine, _tokenizer, _request) { Name = "run", Layout = "model" };
        var result = _evaluator.Measure(images, _progress(), cancellation: cancellation);
        _onResult(result);
        return FigureNames.From(result).ToDictionary(f => f.Name.ToLowerInvariant().Replace(' ', '-'), f => f.Value);
    }
}
