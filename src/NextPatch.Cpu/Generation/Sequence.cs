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

    public void Begin(SequenceRequest request, int slot, int nullSlot)
    {
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
        rows[0] = new DecodeRow(Slot, Position, Position == 0 ? _request.Label : _codes[Position - 1]);
        if (Rows == 2)
        {
            rows[1] = new DecodeRow(NullSlot, Position, Position == 0 ? _nullClass : _codes[Position - 1]);
        }
    }

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
internal readonly record struct SequenceRequest(int Label, long Image, ulong Seed, SamplingConfig Sampling, ReadOnlyMemory<int> Given = default);
