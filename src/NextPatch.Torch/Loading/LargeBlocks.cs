using System.Runtime.InteropServices;

namespace NextPatch.Torch.Loading;

/// <summary>What the system's allocator does with the memory of tensors that are freed.</summary>
/// <remarks>
/// glibc gives every block above 32 MiB back to the kernel at once, so each large activation is made of fresh pages, which the kernel must find and
/// clear: for 128 channels of 256x256 that takes longer than the convolution that fills them (docs/log.md, 2026-11-25). Kept blocks are taken again.
/// </remarks>
internal static partial class LargeBlocks
{
    // malloc.h
    private const int TrimThreshold = -1;
    private const int MapThreshold = -3;
    private const int Kept = 1 << 30;
    private const int DefaultMapThreshold = 32 << 20;
    private const int DefaultTrimThreshold = 2 * DefaultMapThreshold;

    /// <summary>
    /// Keeps freed blocks of up to 1 GiB for the next tensors, in this process from now on: resident memory then stays at its peak. Does nothing
    /// where the allocator is not glibc's.
    /// </summary>
    public static void Keep() => Set(Kept, int.MaxValue);

    /// <summary>As the allocator comes: large blocks go back to the kernel.</summary>
    public static void GiveBack() => Set(DefaultMapThreshold, DefaultTrimThreshold);

    private static void Set(int mapThreshold, int trimThreshold)
    {
        if (!OperatingSystem.IsLinux())
        {
            return;
        }

        try
        {
            _ = SetOption(MapThreshold, mapThreshold);
            _ = SetOption(TrimThreshold, trimThreshold);
        }
        catch (EntryPointNotFoundException)
        {
            // musl has no such option.
        }
    }

    [LibraryImport("libc", EntryPoint = "mallopt")]
    private static partial int SetOption(int option, int value);
}
