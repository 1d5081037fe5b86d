using System.Runtime.InteropServices;

namespace NextPatch.Cli.Serving;

/// <summary>What glibc's allocator keeps of memory that is freed.</summary>
/// <remarks>
/// By default it has up to eight arenas for each core, keeps blocks of up to 32 MiB once such were freed, and every thread that writes a PNG file
/// leaves zlib's memory behind: a server grew by a quarter within ten minutes (docs/log.md, 2026-11-30).
/// </remarks>
internal static partial class FreedMemory
{
    // malloc.h
    private const int MapThreshold = -3;
    private const int MostArenas = -8;

    private const int Arenas = 2;
    private const int LargeBlock = 32 << 10; // zlib takes 344 KiB for an image

    /// <summary>
    /// Two arenas for the threads that begin from now on, and blocks of 32 KiB or more go back to the kernel. Does nothing where the allocator is not
    /// glibc's.
    /// </summary>
    public static void GiveBack()
    {
        if (!OperatingSystem.IsLinux())
        {
            return;
        }

        try
        {
            _ = SetOption(MostArenas, Arenas);
            _ = SetOption(MapThreshold, LargeBlock);
        }
        catch (EntryPointNotFoundException)
        {
            // musl has no such option.
        }
    }

    [LibraryImport("libc", EntryPoint = "mallopt")]
    private static partial int SetOption(int option, int value);
}
