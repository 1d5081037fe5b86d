using NextPatch.Core.Generation;
using NextPatch.Cpu.Gpt;

namespace NextPatch.Cpu.Generation;

/// <summary>
/// Images that are drawn side by side, each at its own position and by its own rules: they enter and leave between codes, and none changes another's
/// bits.
/// </summary>
internal sealed class DecodeBatch
{
    private readonly IGptDecoder _decoder;
    private readonly List<Sequence> _active;
    private readonly Stack<Sequence> _idle = [];
    private readonly DecodeRow[] _rows;
    private readonly int[] _firstRows;
    private readonly Action<int, int> _draw;

    /// <param name="decoder">Stays the caller's; a batch at a time.</param>
    public DecodeBatch(IGptDecoder decoder)
    {
        _decoder = decoder;
        _active = new List<Sequence>(decoder.MaxRows);
        _rows = new DecodeRow[decoder.MaxRows];
        _firstRows = new int[decoder.MaxRows];
        _draw = DrawPart;
    }

    /// <summary>Images in progress, in the order in which they entered.</summary>
    public IReadOnlyList<Sequence> Active => _active;

    /// <summary>Rows of the next pass.</summary>
    public int Rows
    {
        get
        {
            var rows = 0;
            foreach (var sequence in _active)
            {
                rows += sequence.Rows;
            }

            return rows;
        }
    }

    /// <summary>Whether another image may enter now.</summary>
    public bool HasRoom(SequenceRequest request) => Rows + Sequence.RowsOf(request) <= _decoder.MaxRows;

    /// <summary>Lets an image enter; there must be room. Its class must exist, and a null class where it is guided.</summary>
    public Sequence Enter(SequenceRequest request)
    {
        var config = _decoder.Config;
        var sequence = _idle.TryPop(out var idle) ? idle : new Sequence(config.CodesPerImage, config.VocabularySize, nullClass: config.ClassCount);
        var (slot, nullSlot) = (_decoder.TakeSlot(), request.Sampling.IsGuided ? _decoder.TakeSlot() : -1);
        sequence.Begin(request, slot, nullSlot, request.Prompt is { } prompt ? Prefill(prompt, slot, nullSlot) : null);
        _active.Add(sequence);
        return sequence;
    }

    private (EncodedPrompt Own, EncodedPrompt? Null) Prefill(PromptFeatures prompt, int slot, int nullSlot)
    {
        var own = _decoder.Encode(prompt);
        _decoder.Prefill(slot, own);
        if (nullSlot < 0)
        {
            return (own, null);
        }

        var unconditional = _decoder.Unconditional(own.Count);
        _decoder.Prefill(nullSlot, unconditional);
        return (own, unconditional);
    }

    /// <summary>Takes an image out, finished or not. Its codes stay until another enters.</summary>
    public void Leave(Sequence sequence)
    {
        _active.Remove(sequence);
        _idle.Push(sequence);
        _decoder.ReturnSlot(sequence.Slot);
        if (sequence.NullSlot >= 0)
        {
            _decoder.ReturnSlot(sequence.NullSlot);
        }
    }

    /// <summary>Draws one more code of every image in progress, none of which may be finished. Allocates nothing.</summary>
    public void Step()
    {
        var rows = 0;
        for (var i = 0; i < _active.Count; i++)
        {
            _firstRows[i] = rows;
            _active[i].AddRows(_rows.AsSpan(rows));
            rows += _active[i].Rows;
        }

        _decoder.Run(_rows.AsSpan(0, rows));
        _decoder.Team.Run(_active.Count, _draw);
    }

    private void DrawPart(int i, int thread)
    {
        var row = _firstRows[i];
        _active[i].Draw(_decoder.Logits(row), _active[i].Rows == 2 ? _decoder.Logits(row + 1) : default);
    }
}
