using NextPatch.Core;
using NextPatch.Core.Checkpoints;
using NextPatch.Core.Configuration;
using NextPatch.Core.Generation;
using NextPatch.Core.Tensors;
using NextPatch.Cpu;
using NextPatch.Cpu.Generation;
using NextPatch.Cpu.Gpt;
using NextPatch.Cpu.Tokenizer;

[assembly: ComputeBackend(typeof(CpuBackend))]

namespace NextPatch.Cpu;

/// <summary>Engines and tokenizers in C# alone, one thread per processor (<c>DOTNET_PROCESSOR_COUNT</c> says another number).</summary>
public sealed class CpuBackend : IComputeBackend
{
    /// <inheritdoc/>
    public string Name => "C# (CPU)";

    /// <inheritdoc/>
    public int ThreadCount => Threads ?? Environment.ProcessorCount;

    /// <summary>How many compute; null = one per processor.</summary>
    internal int? Threads { get; init; }

    /// <summary>
    /// A transformer ready to draw. It always computes in float; <paramref name="precision"/> says how weights are kept. Those that are stored in
    /// eight bits stay so where fp32 is asked for: more bytes would hold the same numbers.
    /// </summary>
    /// <param name="config">Its sizes.</param>
    /// <param name="weights">Read here, and not needed afterwards.</param>
    /// <param name="precision">Any.</param>
    /// <exception cref="NextPatchException">The weights do not fit the sizes.</exception>
    public IGenerationEngine OpenEngine(GptConfig config, WeightsFile weights, ComputePrecision precision = ComputePrecision.Fp32)
        => CpuGenerationEngine.Open(weights, config, precision switch
        {
            ComputePrecision.Bf16 => WeightStorage.BFloat16,
            ComputePrecision.Int8 => WeightStorage.Int8,
            _ => weights.Tensors.Values.Any(t => t is QuantizedTensor or PanelTensor) ? WeightStorage.Int8 : WeightStorage.Float32,
        }, Threads);

    /// <summary>A tokenizer ready to encode and decode.</summary>
    /// <param name="config">Its sizes.</param>
    /// <param name="weights">Read here, and not needed afterwards.</param>
    /// <param name="precision"><see cref="ComputePrecision.Fp32"/>.</param>
    /// <param name="encodingBatch">Images that are asked for at a time; codes do not depend on it.</param>
    /// <exception cref="NextPatchException">The weights do not fit the sizes.</exception>
    /// <exception cref="ConfigException">Another precision.</exception>
    public IImageTokenizer OpenTokenizer(
        TokenizerConfig config, WeightsFile weights, ComputePrecision precision = ComputePrecision.Fp32, int? encodingBatch = null)
        => precision == ComputePrecision.Fp32
            ? CpuTokenizer.Open(weights, config, encodingBatch, Threads)
            : throw new ConfigException($"The engine in C# encodes in fp32, not in {precision}; leave the precision out, or take the engine torch.")
            {
                Settings = ["Precision"],
            };
}
