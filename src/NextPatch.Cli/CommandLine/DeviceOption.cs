using System.CommandLine;
using NextPatch.Cli.Training;
using NextPatch.Core;
using NextPatch.Core.Configuration;
using NextPatch.Core.Generation;
using NextPatch.Torch;
using NextPatch.Torch.Devices;

namespace NextPatch.Cli.CommandLine;

/// <summary><c>--device</c>: where libtorch computes.</summary>
internal static class DeviceOption
{
    /// <param name="note">What else it decides; ends with a full stop.</param>
    public static Option<string> Create(string note = "Codes and images are equal within rounding, not bit for bit.") => new("--device")
    {
        Description = $"What computes: the processor, an NVIDIA GPU (the first, or by number), Apple's. {note} Not yet run on a GPU.",
        HelpName = TorchDevices.Names,
        DefaultValueFactory = _ => TorchDevices.Cpu,
    };

    /// <summary>The device, which is there.</summary>
    /// <exception cref="ConfigException">It is not.</exception>
    public static string Of(ParseResult parsed, Option<string> option)
    {
        var name = parsed.GetRequiredValue(option);
        _ = TorchDevices.Open(name);
        return name;
    }

    /// <summary>What draws and encodes; null: what suits.</summary>
    /// <exception cref="ConfigException">The device is not there, or another engine is asked for.</exception>
    public static IComputeBackend? Backend(ParseResult parsed, Option<string> device, Option<string> engine)
    {
        var name = parsed.GetRequiredValue(device);
        return TorchDevices.IsCpu(name) ? EngineOption.From(parsed, engine)
            : EngineOption.IsCpu(parsed, engine)
                ? throw new ConfigException($"--engine cpu is C# on the processor; leave it out to compute on {name}, or leave out --device.")
                : new TorchBackend(name);
    }

    /// <summary>What <c>--precision auto</c> means on a device, or what is asked for, and a sentence that says why.</summary>
    public static (ComputePrecision Precision, string Reason) Precision(string asked, string device)
    {
        var gpu = CudaDriver.Find().Devices.FirstOrDefault(d => d.Name == (device == "cuda" ? "cuda:0" : device));
        return asked switch
        {
            PrecisionChoice.Auto when gpu is { HasBf16: true }
                => (ComputePrecision.Bf16, $"Precision: bf16, because {gpu.Model} (compute capability {gpu.ComputeCapability}) has it."),
            PrecisionChoice.Auto => (ComputePrecision.Fp32, $"Precision: fp32; whether {device} computes in bf16 is not known."),
            _ => (Enum.Parse<ComputePrecision>(asked, ignoreCase: true), $"Precision: {asked}, as asked."),
        };
    }
}
