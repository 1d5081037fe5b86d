using System.Runtime.InteropServices;
using NextPatch.Core;
using NextPatch.Torch.Devices;
using NextPatch.Torch.Loading;
using TorchSharp;

namespace NextPatch.Cli.Diagnostics;

/// <summary>What <c>doctor</c> finds.</summary>
internal sealed record SystemReport
{
    /// <summary>Everything essential loads.</summary>
    public bool Works => Components.All(c => c.Works);

    /// <summary>Version of NextPatch.</summary>
    public required string Version { get; init; }

    public string OperatingSystem { get; init; } = RuntimeInformation.OSDescription;

    public string Runtime { get; init; } = RuntimeInformation.FrameworkDescription;

    public required IReadOnlyList<ComponentCheck> Components { get; init; }

    /// <summary>What will compute.</summary>
    public required string Engine { get; init; }

    /// <summary>What <c>--device</c> takes here; empty where libtorch does not load.</summary>
    public required IReadOnlyList<string> Devices { get; init; }

    /// <summary>What NVIDIA's driver says of its GPUs, whether or not libtorch can use them.</summary>
    public required CudaFindings Cuda { get; init; }

    /// <summary>Libraries of libtorch for CUDA beside the one that is loaded, by file name.</summary>
    public required IReadOnlyList<string> CudaLibraries { get; init; }

    public required Processor Processor { get; init; }

    /// <summary>Threads that libtorch computes with; 0 where it does not load.</summary>
    public required int Threads { get; init; }

    /// <summary>Memory this process may use, limits of a container included.</summary>
    public required long MemoryBytes { get; init; }

    /// <summary>The folder whose disk was looked at.</summary>
    public required string Folder { get; init; }

    /// <summary>Free bytes there; null where the system does not say.</summary>
    public required long? FreeDiskBytes { get; init; }

    /// <summary>Newest GLIBCXX version of the system's libstdc++; null outside Linux.</summary>
    public string? LibStdCpp { get; init; }

    public static SystemReport Collect()
    {
        var torchCheck = ComponentChecks.LibTorch();
        return new SystemReport
        {
            Version = typeof(NextPatchException).Assembly.GetName().Version?.ToString(3) ?? "unknown",
            Components = [torchCheck, ComponentChecks.Skia()],
            Engine = torchCheck.Works ? "TorchSharp on the CPU, in fp32" : "none: libtorch does not load",
            Devices = torchCheck.Works ? TorchDevices.Found : [],
            Cuda = CudaDriver.Find(),
            CudaLibraries = NativeBackend.CudaLibraries,
            Processor = Processor.Detect(),
            Threads = torchCheck.Works ? torch.get_num_threads() : 0,
            MemoryBytes = GC.GetGCMemoryInfo().TotalAvailableMemoryBytes,
            Folder = Environment.CurrentDirectory,
            FreeDiskBytes = FreeBytes(Environment.CurrentDirectory),
            LibStdCpp = Diagnostics.LibStdCpp.Newest() is { } newest ? $"GLIBCXX_{newest}" : null,
        };
    }

    private static long? FreeBytes(string folder)
    {
        try
        {
            return new DriveInfo(folder).AvailableFreeSpace;
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException or ArgumentException)
        {
            return null;
        }
    }
}
