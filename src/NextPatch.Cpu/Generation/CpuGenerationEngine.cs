using NextPatch.Core;
using NextPatch.Core.Checkpoints;
using NextPatch.Core.Configuration;
using NextPatch.Core.Generation;
using NextPatch.Core.Tensors;
using NextPatch.Cpu.Gpt;
using NextPatch.Kernels.Attention;
using NextPatch.Kernels.Simd;

namespace NextPatch.Cpu.Generation;

/// <summary>
/// Draws codes in C# alone. Image k of a request has the same bits whatever is drawn with it, on however many threads and with vectors of whatever
/// width (except on x64 without FMA). One request at a time.
/// </summary>
public sealed class CpuGenerationEngine : IGenerationEngine, IBatchingEngine
{
    /// <summary>Images that are drawn side by side at most: beyond, products are bound by arithmetic and only the cache grows.</summary>
    private const int MostImages = 16;

    /// <summary>Memory that keys and values may take before fewer images are drawn side by side.</summary>
    private const long MostCacheBytes = 1L << 30;

    private readonly IGptDecoder _decoder;
    private readonly DecodeBatch _batch;
    private readonly WeightStorage _storage;

    internal CpuGenerationEngine(IGptDecoder decoder, WeightStorage storage)
    {
        (_decoder, _storage) = (decoder, storage);
        _batch = new DecodeBatch(decoder);
    }

    /// <inheritdoc/>
    public string Name => $"C# (CPU, {_storage switch { WeightStorage.Int8 => "int8", WeightStorage.BFloat16 => "bf16", _ => "fp32" }})";

    /// <inheritdoc/>
    public GptConfig Config => _decoder.Config;

    /// <inheritdoc/>
    public int BatchSize => MostImages;

    IGenerationBatch IBatchingEngine.Batch => new CpuGenerationBatch(_batch, Config.CodesPerImage);

    /// <summary>Reads a transformer that classes or captions condition; the file may be closed afterwards.</summary>
    /// <param name="weights">Its weights, in any floating-point type.</param>
    /// <param name="config">Its shape.</param>
    /// <param name="storage">How weights are kept.</param>
    /// <param name="threads">How many compute, the caller's included; null = one per processor.</param>
    /// <exception cref="NextPatchException">The weights do not fit the shape.</exception>
    public static CpuGenerationEngine Open(WeightsFile weights, GptConfig config, WeightStorage storage = WeightStorage.Float32, int? threads = null)
        => Open(weights.Tensors, config, weights.Path, storage, threads);

    /// <inheritdoc/>
    public int[] Generate(GenerationRequest request, IProgress<int>? progress = null, CancellationToken cancellation = default)
    {
        request.Validate(Config);
        var (count, length) = (request.Labels.Count, Config.CodesPerImage);
        var codes = new int[count * length];
        ReadOnlyMemory<int> given = request.GivenCodes is { } some ? some.ToArray() : default;
        var (entered, finished) = (0, 0);
        var places = new Dictionary<Sequence, int>();
        SequenceRequest Next() => new(request.Labels[entered], request.FirstIndex + entered, request.Seed, request.Sampling,
            given.IsEmpty ? default : given.Slice(entered * length, length), request.Prompts?[entered]);
        try
        {
            while (finished < count)
            {
                for (; entered < count && _batch.HasRoom(Next()); entered++)
                {
                    places[_batch.Enter(Next())] = entered;
                }

                cancellation.ThrowIfCancellationRequested();
                _batch.Step();
                for (var i = _batch.Active.Count - 1; i >= 0; i--)
                {
                    var sequence = _batch.Active[i];
                    if (request.OnRow is { } onRow && sequence.Position % Config.GridSide == 0)
                    {
                        onRow(new FinishedRow(places[sequence], sequence.Position / Config.GridSide, sequence.Codes));
                    }

                    if (sequence.IsFinished)
                    {
                        sequence.Codes.Span.CopyTo(codes.AsSpan(places[sequence] * length, length));
                        _batch.Leave(sequence);
                        finished++;
                        progress?.Report(finished);
                    }
                }
            }
        }
        finally
        {
            while (_batch.Active is [.., var left]) // after a cancellation
            {
                _batch.Leave(left);
            }
        }

        return codes;
    }

    /// <inheritdoc/>
    public void Dispose() => _decoder.Dispose();

    internal static CpuGenerationEngine Open(
        IReadOnlyDictionary<string, StoredTensor> tensors, GptConfig config, string source, WeightStorage storage, int? threads)
    {
        GptState.Check(config.Validated(), tensors, source);
        return new CpuGenerationEngine(
            GptDecoders.Create(config, tensors, storage, 2 * Images(config, storage), threads ?? Environment.ProcessorCount), storage);
    }

    private static int Images(GptConfig config, WeightStorage storage)
    {
        var elements = (long)CachedAttention<Simd1, Fp32>.Elements(config.CodesPerImage, config.HeadWidth) * config.KvHeads * config.LayerCount;
        var bytes = 2 * elements * (storage == WeightStorage.Float32 ? sizeof(float) : sizeof(ushort)); // guided
        return (int)Math.Clamp(MostCacheBytes / bytes, 1, MostImages);
    }
}
