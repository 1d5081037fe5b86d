using NextPatch.Core;
using NextPatch.Core.Checkpoints;
using NextPatch.Core.Configuration;
using NextPatch.Core.Generation;
using NextPatch.Torch;
using NextPatch.Torch.Generation;
using NextPatch.Torch.Gpt;
using NextPatch.Torch.Loading;
using NextPatch.Torch.Tokenizer;
using TorchSharp;
using static TorchSharp.torch;

[assembly: ComputeBackend(typeof(TorchBackend))]

namespace NextPatch.Torch;

/// <summary>Engines and tokenizers that compute with libtorch.</summary>
public sealed class TorchBackend : IComputeBackend
{
    /// <inheritdoc/>
    public string Name => TorchGenerationEngine.DisplayName;

    /// <inheritdoc/>
    public int ThreadCount
    {
        get
        {
            NativeBackend.EnsureLoaded();
            return get_num_threads();
        }
    }

    /// <inheritdoc/>
    public IGenerationEngine OpenEngine(GptConfig config, WeightsFile weights, ComputePrecision precision = ComputePrecision.Fp32)
    {
        if (precision == ComputePrecision.Int8)
        {
            throw new ConfigException("libtorch draws in fp32 or bf16, not in int8; take the engine cpu.") { Settings = ["Precision"] };
        }

        NativeBackend.EnsureLoaded();
        var model = new GptModel(config);
        try
        {
            if (precision == ComputePrecision.Bf16)
            {
                // Before loading: the wide parameters are unset, so their memory is never touched.
                model.to(ScalarType.BFloat16);
            }

            StateLoader.Load(model, weights.Tensors, weights.Path);
            return new TorchGenerationEngine(model);
        }
        catch
        {
            model.Dispose();
            throw;
        }
    }

    /// <inheritdoc/>
    public IImageTokenizer OpenTokenizer(
        TokenizerConfig config, WeightsFile weights, ComputePrecision precision = ComputePrecision.Fp32, int? encodingBatch = null)
    {
        NativeBackend.EnsureLoaded();
        return new TorchTokenizer(VqTokenizer.Create(config, weights), precision, encodingBatch);
    }
}
