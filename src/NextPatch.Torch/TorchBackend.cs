using NextPatch.Core;
using NextPatch.Core.Checkpoints;
using NextPatch.Core.Configuration;
using NextPatch.Core.Generation;
using NextPatch.Torch;
using NextPatch.Torch.Devices;
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
    private readonly string _device;

    /// <summary>Computes on the processor.</summary>
    public TorchBackend()
        : this(TorchDevices.Cpu)
    {
    }

    /// <summary>Computes on a device.</summary>
    /// <param name="device"><c>cpu</c>, <c>cuda</c>, <c>cuda:1</c>, <c>mps</c>.</param>
    /// <exception cref="ConfigException">The device is not there; the message says what is.</exception>
    public TorchBackend(string device)
    {
        _device = device;
        if (!TorchDevices.IsCpu(device))
        {
            TorchDevices.Open(device);
        }
    }

    /// <inheritdoc/>
    public string Name => TorchDevices.IsCpu(_device) ? TorchGenerationEngine.DisplayName
        : TorchGenerationEngine.NameOn(TorchDevices.Open(_device));

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
            TorchDevices.Move(model, _device);
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
        var network = VqTokenizer.Create(config, weights);
        TorchDevices.Move(network, _device);
        return new TorchTokenizer(network, precision, encodingBatch);
    }
}
