using NextPatch.Core.Configuration;
using NextPatch.Core.Sampling;
using NextPatch.Core.Tensors;
using NextPatch.Torch.Gpt;
using NextPatch.Torch.Loading;
using static TorchSharp.torch;

namespace NextPatch.Cli.Benchmarking.Decoding;

/// <summary>What TorchGenerationEngine does for one code, for eight images, whose rows it computes however few are asked for.</summary>
internal sealed class TorchSteps : IDisposable
{
    /// <summary>As TorchGenerationEngine computes for wide models, whatever number of images is asked for.</summary>
    public const int Images = 8;

    private readonly GptModel _model;
    private readonly KvCache _cache;
    private double[] _fastest = [];

    public TorchSteps(GptConfig config, IReadOnlyDictionary<string, StoredTensor> state)
    {
        NativeBackend.EnsureLoaded();
        _model = new GptModel(config);
        StateLoader.Load(_model, state, "formula");
        _model.eval();
        _cache = new KvCache(config, 2 * Images, config.SequenceLength, _model.Head);
    }

    public double Code => _fastest.Average();

    public void Measure(int codes, int images)
    {
        if (_fastest.Length != codes)
        {
            Array.Resize(ref _fastest, codes);
            Array.Fill(_fastest, double.MaxValue);
        }

        using var noGrad = inference_mode();
        var inputs = new long[2 * images];
        var processor = new LogitsProcessor(new SamplingConfig(), _model.Config.VocabularySize);
        for (var i = 0; i < codes; i++)
        {
            _cache.Clear();
            for (var layer = 0; layer < _model.Config.LayerCount; layer++)
            {
                _cache[layer].Length = StepSeconds.Position(i, codes, _model.Config.CodesPerImage);
            }

            _fastest[i] = Math.Min(_fastest[i], StepSeconds.Measure(() =>
            {
                using var scope = NewDisposeScope();
                var logits = _model.DecodeStep(tensor(inputs, [inputs.Length]), _cache).data<float>().ToArray();
                var own = logits.AsSpan(0, _model.Config.VocabularySize);
                LogitsProcessor.Guide(own, logits.AsSpan(images * own.Length, own.Length), 2);
                processor.Draw(own, 0.5);
            }));
        }
    }

    public void Dispose()
    {
        _cache.Dispose();
        _model.Dispose();
    }
}
