using NextPatch.Core.Checkpoints;
using NextPatch.Core.Configuration;
using NextPatch.Core.Generation;
using NextPatch.Cpu;

namespace NextPatch.Models;

/// <summary>The engine in C#; what it cannot do is left to what lies beside the program.</summary>
internal sealed class AutomaticBackend : IComputeBackend
{
    private readonly CpuBackend _managed = new();

    public string Name => _managed.Name;

    public int ThreadCount => _managed.ThreadCount;

    public IGenerationEngine OpenEngine(GptConfig config, WeightsFile weights, ComputePrecision precision = ComputePrecision.Fp32)
        => _managed.OpenEngine(config, weights, precision);

    public IImageTokenizer OpenTokenizer(
        TokenizerConfig config, WeightsFile weights, ComputePrecision precision = ComputePrecision.Fp32, int? encodingBatch = null)
        => (precision == ComputePrecision.Fp32 ? _managed : ComputeBackends.First(ComputeBackends.Others))
            .OpenTokenizer(config, weights, precision, encodingBatch);
}
