using NextPatch.Core.Generation;

namespace NextPatch.Evaluation.Protocol;

/// <summary>Images that a model draws while they are measured: nothing lies on disk, and only a batch of them in memory.</summary>
internal sealed class ModelImageSet : ImageSet
{
    private readonly IGenerationEngine _engine;
    private readonly IImageTokenizer _tokenizer;
    private readonly GenerationRequest _request;
    private readonly IDisposable? _owned;

    /// <param name="engine">Draws the codes.</param>
    /// <param name="tokenizer">Turns them into images.</param>
    /// <param name="request">All the images.</param>
    /// <param name="owned">Disposed with this object.</param>
    public ModelImageSet(IGenerationEngine engine, IImageTokenizer tokenizer, GenerationRequest request, IDisposable? owned = null)
    {
        (_engine, _tokenizer, _request, _owned) = (engine, tokenizer, request, owned);
        (ClassCount, Rounding) = (engine.Config.ClassCount, CodeImageSet.TokenizerRounding);
        Labels = request.Prompts is null ? request.Labels : null;
    }

    public override int Count => _request.Labels.Count;

    public override (int Height, int Width) Size => (_tokenizer.Config.ImageSide, _tokenizer.Config.ImageSide);

    /// <summary>The first images, once they were read.</summary>
    public ImageBatch? FirstBatch { get; private set; }

    public override IEnumerable<ImageBatch> Read(CancellationToken cancellation = default)
    {
        var side = _tokenizer.Config.ImageSide;
        for (var first = 0; first < Count; first += BatchSize)
        {
            var part = _request.Part(first, Math.Min(BatchSize, Count - first), _engine.Config);
            var codes = _engine.Generate(part, cancellation: cancellation); // [B, T]
            var batch = new ImageBatch(part.Labels.Count, side, side, _tokenizer.Decode(codes, cancellation)); // [B, S, S, 3]
            FirstBatch ??= batch;
            yield return batch;
        }
    }

    protected override void Dispose(bool disposing)
    {
        _owned?.Dispose();
        base.Dispose(disposing);
    }
}
