using NextPatch.Core.Generation;
using NextPatch.Core.Sampling;
using NextPatch.Cpu.Gpt;

namespace NextPatch.Cpu.Generation;

/// <summary>An image while it is drawn: a row of each pass, or two where it is guided. The object is used again for later images.</summary>
internal sealed class Sequence : IImageInProgress
{
    private readonly int[] _codes;
    private readonly int _vocabulary;
    private readonly int _nullClass;
    private SequenceRequest _request;
    private CounterRandom _random;
    private LogitsProcessor? _processor;
    private (EncodedPrompt Own, EncodedPrompt? Null)? _prompts;

    public Sequence(int codesPerImage, int vocabulary, int nullClass)
    {
        _codes = new int[codesPerImage];
        (_vocabulary, _nullClass) = (vocabulary, nullClass);
    }

    /// <summary>Codes drawn so far.</summary>
    public int Position { get; private set; }

    public bool IsFinished => Position == _codes.Length;

    /// <summary>All codes drawn so far, row-major.</summary>
    public ReadOnlyMemory<int> Codes => _codes.AsMemory(0, Position);

    /// <summary>Rows of a pass that it takes.</summary>
    public int Rows => RowsOf(_request);

    /// <summary>Place in the cache.</summary>
    public int Slot { get; private set; }

    /// <summary>Place of the unconditional row.</summary>
    public int NullSlot { get; private set; }

    public static int RowsOf(SequenceRequest request) => request.Sampling.IsGuided ? 2 : 1;

    /// <param name="request">What is drawn.</param>
    /// <param name="slot">Place in the cache.</param>
    /// <param name="nullSlot">Place of the unconditional row; -1 for none.</param>
    /// <param name="prompts">Its prompt and what stands beside it, both begun in the cache; null where classes condition the model.</param>
    public void Begin(SequenceRequest request, int slot, int nullSlot, (EncodedPrompt Own, EncodedPrompt? Null)? prompts = null)
    {
        _prompts = prompts;
        if (_processor is null || request.Sampling != _request.Sampling)
        {
            _processor = new LogitsProcessor(request.Sampling, _vocabulary);
        }

        (_request, Slot, NullSlot, Position) = (request, slot, nullSlot, 0);
        _random = new CounterRandom(request.Seed, RandomStream.Codes);
    }

    /// <summary>Its rows of the next pass.</summary>
    public void AddRows(Span<DecodeRow> rows)
    {
        rows[0] = Position == 0 ? First(Slot, _request.Label, _prompts?.Own) : new DecodeRow(Slot, Position, _codes[Position - 1]);
        if (Rows == 2)
        {
            rows[1] = Position == 0 ? First(NullSlot, _nullClass, _prompts?.Null) : new DecodeRow(NullSlot, Position, _codes[Position - 1]);
        }
    }

    private static DecodeRow First(int slot, int label, EncodedPrompt? prompt) => new(slot, 0, prompt is null ? label : prompt.Count - 1, prompt);

    /// <summary>Draws the next code, or takes the one that is given.</summary>
    /// <param name="logits">[V]; changed.</param>
    /// <param name="unconditional">[V], of a guided sequence.</param>
    public void Draw(Span<float> logits, ReadOnlySpan<float> unconditional)
    {
        if (!_request.Given.IsEmpty && _request.Given.Span[Position] is var given and not GenerationRequests.Drawn)
        {
            _codes[Position++] = given;
            return;
        }

        if (Rows == 2)
        {
            LogitsProcessor.Guide(logits, unconditional, _request.Sampling.ScaleAt(Position, _codes.Length));
        }

        LogitsProcessor.RequireFinite(logits, _request.Image, Position);
        _codes[Position] = _processor!.Draw(logits, _random.Uniform(_request.Image, Position));
        Position++;
    }
}

/// <summary>One image to draw.</summary>
/// <param name="Label">Its class.</param>
/// <param name="Image">Its index: which random numbers it takes.</param>
/// <param name="Seed">Of the random numbers.</param>
/// <param name="Sampling">Rules.</param>
/// <param name="Given">[T] codes that are not drawn, -1 where one is; empty: all are drawn.</param>
/// <param name="Prompt">Of a model that captions condition.</param>
internal readonly record struct SequenceRequest(
    int Label, long Image, ulong Seed, SamplingConfig Sampling, ReadOnlyMemory<int> Given = default, PromptFeatures? Prompt = null);
