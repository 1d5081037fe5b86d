using NextPatch.Core.Configuration;
using NextPatch.Core.Generation;
using NextPatch.Core.Sampling;
using NextPatch.Torch.Gpt;
using static TorchSharp.torch;

namespace NextPatch.Torch.Generation;

/// <summary>
/// Draws codes with a KV cache. Image k always sits in row k mod B of a batch of B rows, whatever was asked for, because libtorch
/// picks other kernels for other row counts: so its bits do not depend on how many images are drawn with it.
/// </summary>
public sealed class TorchGenerationEngine : IGenerationEngine
{
    internal const string DisplayName = "TorchSharp (CPU)";

    internal static string NameOn(Device device) => device.type == TorchSharp.DeviceType.CPU ? DisplayName : $"TorchSharp ({device})";

    // Wide models are bound by reading their weights, narrow ones by the number of calls.
    private const int NarrowWidth = 512;
    private const int NarrowBatch = 64;
    private const int WideBatch = 8;

    private readonly GptModel _model;
    private readonly bool _ownsModel;
    private readonly int _batch;

    /// <param name="model">Put into evaluation mode.</param>
    /// <param name="ownsModel">Whether disposing the engine disposes the model.</param>
    public TorchGenerationEngine(GptModel model, bool ownsModel = true)
    {
        _model = model;
        _ownsModel = ownsModel;
        _batch = model.Config.Width <= NarrowWidth ? NarrowBatch : WideBatch;
        model.eval();
    }

    /// <inheritdoc/>
    public string Name => NameOn(_model.Head.device);

    /// <inheritdoc/>
    public GptConfig Config => _model.Config;

    /// <inheritdoc/>
    public int BatchSize => _batch;

    /// <inheritdoc/>
    public int[] Generate(GenerationRequest request, IProgress<int>? progress = null, CancellationToken cancellation = default)
    {
        request.Validate(Config);
        var count = request.Labels.Count;
        var codes = new int[count * Config.CodesPerImage];
        using var scope = NewDisposeScope();
        using var noGrad = inference_mode();
        using var cache = new KvCache(Config, _batch * (request.Sampling.IsGuided ? 2 : 1), Config.SequenceLength, _model.Head);
        for (var done = 0; done < count;)
        {
            var slot = (int)((request.FirstIndex + done) % _batch);
            var images = Math.Min(_batch - slot, count - done);
            GenerateBatch(request, done, slot, images, cache, codes, cancellation);
            done += images;
            progress?.Report(done);
        }

        return codes;
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        if (_ownsModel)
        {
            _model.Dispose();
        }
    }

    /// <summary>Draws images [done, done + images) in rows [slot, slot + images); the other rows compute and are thrown away.</summary>
    private void GenerateBatch(GenerationRequest request, int done, int slot, int images, KvCache cache, int[] codes, CancellationToken cancellation)
    {
        var guided = request.Sampling.IsGuided;
        var rows = guided ? 2 * _batch : _batch; // [cond; uncond]
        var inputs = new long[rows];
        for (var row = 0; row < _batch; row++)
        {
            inputs[row] = row >= slot && row < slot + images ? request.Labels[done + row - slot] : 0;
        }

        if (guided)
        {
            Array.Fill(inputs, Config.ClassCount, _batch, _batch);
        }

        using var prompts = request.Prompts is null ? null : Prompts(request, done, slot, images, rows);
        cache.Clear();
        var random = new CounterRandom(request.Seed, RandomStream.Codes);
        var processor = new LogitsProcessor(request.Sampling, Config.VocabularySize);
        for (var position = 0; position < Config.CodesPerImage; position++)
        {
            cancellation.ThrowIfCancellationRequested();
            using var scope = NewDisposeScope();
            var input = prompts?.Features is { } features && position == 0 ? features : tensor(inputs, [rows], device: _model.Head.device);
            var logits = (position == 0 ? _model.Prefill(input, cache, prompts?.IsToken) : _model.DecodeStep(input, cache))
                .cpu().data<float>().ToArray(); // [rows, V]
            var scale = request.Sampling.ScaleAt(position, Config.CodesPerImage);
            for (var row = slot; row < slot + images; row++)
            {
                var own = logits.AsSpan(row * Config.VocabularySize, Config.VocabularySize);
                if (guided)
                {
                    LogitsProcessor.Guide(own, logits.AsSpan((row + _batch) * Config.VocabularySize, Config.VocabularySize), scale);
                }

                var image = done + row - slot;
                var place = (image * Config.CodesPerImage) + position;
                LogitsProcessor.RequireFinite(own, request.FirstIndex + image, position);
                var code = request.GivenAt(place) ?? processor.Draw(own, random.Uniform(request.FirstIndex + image, position));
                codes[place] = code;
                if (request.OnRow is { } onRow && (position + 1) % Config.GridSide == 0)
                {
                    onRow(new FinishedRow(
                        image, (position + 1) / Config.GridSide, codes.AsMemory(image * Config.CodesPerImage, position + 1)));
                }

                inputs[row] = code;
                if (guided)
                {
                    inputs[row + _batch] = code;
                }
            }

            if (position == 0)
            {
                ClearIdleRows(inputs, slot, images);
            }
        }
    }

    /// <summary>
    /// The prompts of a batch as published: tokens in the last of K rows, zeros before them; beside each prompt as many of the unconditional
    /// features. Rows beyond the request have one token of zeros.
    /// </summary>
    private PromptBatch Prompts(GenerationRequest request, int done, int slot, int images, int rows)
    {
        var (most, width) = (Config.Text!.TokenCount, Config.Text.FeatureWidth);
        var (values, isToken) = (new float[rows * most * width], new bool[rows * most]);
        var unconditional = rows == _batch ? [] : _model.UnconditionalFeatures!.to_type(ScalarType.Float32).cpu().data<float>().ToArray();
        for (var row = 0; row < rows; row++)
        {
            var image = (row % _batch) - slot;
            var prompt = image >= 0 && image < images ? request.Prompts![done + image] : null;
            var tokens = prompt?.TokenCount ?? 1;
            isToken.AsSpan(((row + 1) * most) - tokens, tokens).Fill(true);
            var own = prompt is null ? default : row < _batch ? prompt.Values.Span : unconditional.AsSpan()[^(tokens * width)..];
            own.CopyTo(values.AsSpan(((row + 1) * most * width) - own.Length));
        }

        using var scope = NewDisposeScope();
        return new PromptBatch(
            tensor(values, [rows, most, width], device: _model.Head.device).to_type(_model.Head.dtype).DetachFromDisposeScope(),
            tensor(isToken, [rows, most], device: _model.Head.device).DetachFromDisposeScope());
    }

    /// <summary>Rows beyond the request go on with code 0; their first input was a label, which need not be a code.</summary>
    private void ClearIdleRows(long[] inputs, int slot, int images)
    {
        for (var i = 0; i < inputs.Length; i++)
        {
            var row = i % _batch;
            if (row < slot || row >= slot + images)
            {
                inputs[i] = 0;
            }
        }
    }

    /// <param name="Features">[rows, K, W].</param>
    /// <param name="IsToken">bool [rows, K].</param>
    private sealed record PromptBatch(Tensor Features, Tensor IsToken) : IDisposable
    {
        public void Dispose()
        {
            Features.Dispose();
            IsToken.Dispose();
        }
    }
}
