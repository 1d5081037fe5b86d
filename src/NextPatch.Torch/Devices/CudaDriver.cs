using System.Runtime.InteropServices;
using System.Text;

namespace NextPatch.Torch.Devices;

/// <summary>
/// What NVIDIA's driver says of its devices, asked directly (CUDA driver API): libtorch tells neither memory nor names, and the processor's libtorch
/// knows of no device at all.
/// </summary>
internal static unsafe class CudaDriver
{
    private const int Major = 75; // CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR, then _MINOR

    /// <summary>Asks the driver; nothing is kept.</summary>
    /// <param name="library">File of the driver's library; null: where the system finds it.</param>
    public static CudaFindings Find(string? library = null)
    {
        library ??= OperatingSystem.IsWindows() ? "nvcuda.dll" : "libcuda.so.1";
        if (!NativeLibrary.TryLoad(library, out var handle))
        {
            return new CudaFindings(null, [], $"NVIDIA's driver is not here ({library} does not load)");
        }

        try
        {
            return Ask(handle, library);
        }
        catch (EntryPointNotFoundException e)
        {
            return new CudaFindings(null, [], $"{library} is no driver of NVIDIA: {e.Message}");
        }
        finally
        {
            NativeLibrary.Free(handle);
        }
    }

    private static CudaFindings Ask(nint handle, string library)
    {
        nint Entry(string name) => NativeLibrary.GetExport(handle, name);
        var (version, count) = (0, 0);
        if (((delegate* unmanaged<uint, int>)Entry("cuInit"))(0) is not 0 and var error)
        {
            return new CudaFindings(null, [], $"{library} is here, but finds no device (cuInit gives error {error})");
        }

        ((delegate* unmanaged<int*, int>)Entry("cuDriverGetVersion"))(&version);
        ((delegate* unmanaged<int*, int>)Entry("cuDeviceGetCount"))(&count);
        var get = (delegate* unmanaged<int*, int, int>)Entry("cuDeviceGet");
        var nameOf = (delegate* unmanaged<byte*, int, int, int>)Entry("cuDeviceGetName");
        var memoryOf = (delegate* unmanaged<nuint*, int, int>)Entry("cuDeviceTotalMem_v2");
        var attributeOf = (delegate* unmanaged<int*, int, int, int>)Entry("cuDeviceGetAttribute");
        var devices = new List<CudaDevice>();
        var name = stackalloc byte[256];
        for (var i = 0; i < count; i++)
        {
            int device = 0, major = 0, minor = 0;
            nuint memory = 0;
            if (get(&device, i) == 0 && nameOf(name, 255, device) == 0 && memoryOf(&memory, device) == 0
                && attributeOf(&major, Major, device) == 0 && attributeOf(&minor, Major + 1, device) == 0)
            {
                var text = Encoding.UTF8.GetString(MemoryMarshal.CreateReadOnlySpanFromNullTerminated(name));
                devices.Add(new CudaDevice($"cuda:{i}", text, $"{major}.{minor}", (long)memory));
            }
        }

        return new CudaFindings($"{version / 1000}.{version % 1000 / 10}", devices, devices.Count == 0 ? "the driver finds no device" : null);
    }
}

/// <summary>What the driver says.</summary>
/// <param name="CudaVersion">Newest CUDA version that it runs; null without a driver.</param>
/// <param name="Devices">In the order of their numbers, those that CUDA_VISIBLE_DEVICES shows.</param>
/// <param name="Problem">Why there are none.</param>
internal sealed record CudaFindings(string? CudaVersion, IReadOnlyList<CudaDevice> Devices, string? Problem);

/// <summary>A GPU.</summary>
/// <param name="Name">What settings call it.</param>
/// <param name="Model">What its maker calls it.</param>
/// <param name="ComputeCapability">"9.0"; bf16 products need 8.0.</param>
/// <param name="MemoryBytes">Memory in all.</param>
internal sealed record CudaDevice(string Name, string Model, string ComputeCapability, long MemoryBytes)
{
    public bool HasBf16 => int.Parse(ComputeCapability.Split('.')[0], System.Globalization.CultureInfo.InvariantCulture) >= 8;
}
