using NextPatch.Core.Generation;
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
    private readonly Func<int, PromptFeatures>? _prompt;
    private double[] _fastest = [];
    private int _prompts;
    private int _position;

    /// <param name="decoder">Stays the caller's.</param>
    /// <param name="images">Side by side, each guided.</param>
    /// <param name="prompt">Makes a prompt, another one for another number; null where classes condition the model.</param>
    public ManagedSteps(IGptDecoder decoder, int images, Func<int, PromptFeatures>? prompt = null)
    {
        (_decoder, _prompt) = (decoder, prompt);
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

    /// <summary>Seconds before the first code of an image.</summary>
    public double Prefill { get; private set; } = double.MaxValue;

    public void Measure(int codes)
    {
        if (_fastest.Length != codes)
        {
            Array.Resize(ref _fastest, codes);
            Array.Fill(_fastest, double.MaxValue);
        }

        if (_prompt is not null)
        {
            foreach (var row in _rows)
            {
                var encoded = _decoder.Encode(_prompt(_prompts++)); // a new one each time: engines remember what they computed
                Prefill = Math.Min(Prefill, StepSeconds.Measure(() => _decoder.Prefill(row.Slot, encoded)));
            }
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
