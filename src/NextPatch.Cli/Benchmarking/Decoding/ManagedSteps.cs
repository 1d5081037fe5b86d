using NextPatch.Core.Sampling;
using NextPatch.Cpu.Gpt;

namespace NextPatch.Cli.Benchmarking.Decoding;

/// <summary>Passes and draws of the managed engine, caches as full as the position says.</summary>
internal sealed class ManagedSteps : IDisposable
{
    private readonly IGptDecoder _decoder;
    private readonly DecodeRow[] _rows;
    private readonly LogitsProcessor[] _processors;
    private readonly Action<int, int> _draw;
    private double[] _fastest = [];
    private int _position;

    public ManagedSteps(IGptDecoder decoder, int images)
    {
        _decoder = decoder;
        _rows = [.. Enumerable.Range(0, 2 * images).Select(_ => new DecodeRow(decoder.TakeSlot(), 0, 0))];
        _processors = [.. Enumerable.Range(0, images).Select(_ => new LogitsProcessor(new SamplingConfig(), decoder.Config.VocabularySize))];
        _draw = (image, _) =>
        {
            LogitsProcessor.Guide(_decoder.Logits(2 * image), _decoder.Logits((2 * image) + 1), 2);
            _processors[image].Draw(_decoder.Logits(2 * image), new CounterRandom(1, RandomStream.Codes).Uniform(image, _position));
        };
    }

    public double Code => _fastest.Average();

    public double Products { get; private set; } = double.MaxValue;

    public void Measure(int codes)
    {
        if (_fastest.Length != codes)
        {
            Array.Resize(ref _fastest, codes);
            Array.Fill(_fastest, double.MaxValue);
        }

        for (var i = 0; i < codes; i++)
        {
            Products = Math.Min(Products, StepSeconds.Measure(() => Pass(1)));
            _fastest[i] = Math.Min(_fastest[i], StepSeconds.Measure(() =>
            {
                Pass(StepSeconds.Position(i, codes, _decoder.Config.CodesPerImage));
                _decoder.Team.Run(_rows.Length / 2, _draw);
            }));
        }
    }

    public void Dispose()
    {
        foreach (var row in _rows)
        {
            _decoder.ReturnSlot(row.Slot);
        }
    }

    private void Pass(int position)
    {
        _position = position;
        for (var row = 0; row < _rows.Length; row++)
        {
            _rows[row] = _rows[row] with { Position = position };
        }

        _decoder.Run(_rows);
    }
}
