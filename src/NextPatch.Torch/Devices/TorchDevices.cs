using System.Text.RegularExpressions;
using NextPatch.Core;
using NextPatch.Torch.Loading;
using TorchSharp;
using static TorchSharp.torch;

namespace NextPatch.Torch.Devices;

/// <summary>The devices of libtorch by the names that settings use: <c>cpu</c>, <c>cuda</c> (the first), <c>cuda:1</c>, <c>mps</c>.</summary>
internal static partial class TorchDevices
{
    /// <summary>Where everything computes that is not told otherwise.</summary>
    public const string Cpu = "cpu";

    /// <summary>The first GPU of NVIDIA's; of several ranks on a machine each one's own.</summary>
    public const string Cuda = "cuda";

    /// <summary>What the names look like, for help and messages.</summary>
    public const string Names = "cpu|cuda|cuda:1|mps";

    /// <summary>The names of what can compute here.</summary>
    public static IReadOnlyList<string> Found
    {
        get
        {
            NativeBackend.EnsureLoaded();
            return [Cpu, .. Enumerable.Range(0, CudaCount()).Select(i => $"cuda:{i}"), .. HasMps() ? ["mps"] : Array.Empty<string>()];
        }
    }

    /// <summary>Whether a name is that of the processor, without looking for anything.</summary>
    public static bool IsCpu(string name) => name == Cpu;

    /// <summary>The device of a name.</summary>
    /// <exception cref="ConfigException">It is no such name, or the device is not there.</exception>
    /// <exception cref="NextPatchException">libtorch does not load.</exception>
    public static Device Open(string name)
    {
        if (!Name().IsMatch(name))
        {
            throw new ConfigException($"'{name}' is no device; name one like {Names.Replace("|", ", ", StringComparison.Ordinal)}.")
            { Settings = ["Device"] };
        }

        NativeBackend.EnsureLoaded(); // before anything of TorchSharp is touched, on several threads at once
        return Find(name);
    }

    /// <summary>Bytes of memory; null where nobody tells.</summary>
    public static long? MemoryOf(string name) => IsCpu(name) ? GC.GetGCMemoryInfo().TotalAvailableMemoryBytes
        : CudaDriver.Find().Devices.FirstOrDefault(d => d.Name == (name == Cuda ? "cuda:0" : name))?.MemoryBytes;

    /// <summary>Moves weights and buffers; an optimiser is made afterwards.</summary>
    public static void Move(nn.Module module, string name)
    {
        if (!IsCpu(name))
        {
            Move(module, Open(name));
        }
    }

    /// <inheritdoc cref="Move(nn.Module, string)"/>
    public static void Move(nn.Module module, Device device)
    {
        if (device.type != DeviceType.CPU)
        {
            module.to(device);
        }
    }

    /// <summary>Lets fp32 products on CUDA devices round their factors to TF32, 10 bits behind the point, which is several times as fast.</summary>
    public static void AllowTf32()
    {
        backends.cuda.matmul.allow_tf32 = true;
        backends.cudnn.allow_tf32 = true;
    }

    /// <summary>A copy of numbers of the processor's memory; on CUDA devices it goes through pinned memory and nobody waits for it.</summary>
    /// <returns>In the caller's dispose scope.</returns>
    public static Tensor Upload(Tensor values, Device device)
    {
        if (device.type != DeviceType.CUDA)
        {
            return values.to(device);
        }

        using var pinned = values.pin_memory();
        return pinned.to(device, non_blocking: true); // libtorch keeps pinned memory until the copy is done
    }

    private static Device Find(string name)
    {
        if (IsCpu(name))
        {
            return CPU;
        }

        var (found, wanted) = (Found, name == Cuda ? "cuda:0" : name);
        return found.Contains(wanted)
            ? new Device(wanted)
            : throw new ConfigException(
                $"There is no device '{name}' here; found: {string.Join(", ", found)}. {Remedy(name, found.Count > 1)} Or use Device {Cpu}.")
            { Settings = ["Device"] };
    }

    private static string Remedy(string name, bool hasOthers)
        => name == "mps" ? "mps is the GPU of Apple processors, by libtorch for macOS."
            : hasOthers ? "Take one that is there; CUDA_VISIBLE_DEVICES may hide others."
            : !NativeBackend.HasCuda ? $"The libtorch in {NativeBackend.LoadedFrom} is the one for processors; set "
                + $"{NativeBackend.FolderVariable} to a folder with libtorch for CUDA of the same version (docs/guide/devices.md)."
            : "libtorch is the one for CUDA, but finds no GPU: install NVIDIA's driver, or look whether CUDA_VISIBLE_DEVICES hides it "
                + "('nextpatch doctor' lists what there is).";

    private static int CudaCount() => NativeBackend.HasCuda && cuda.is_available() ? cuda.device_count() : 0;

    private static bool HasMps() => OperatingSystem.IsMacOS() && mps_is_available();

    [GeneratedRegex(@"^(cpu|mps|cuda(:(0|[1-9]\d?))?)$")]
    private static partial Regex Name();
}
