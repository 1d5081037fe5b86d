using System.Runtime.InteropServices;

namespace NextPatch.Cli.Serving;

/// <summary>What allocators keep of memory that is free: glibc's, and the runtime's.</summary>
/// <remarks>
/// By default glibc's has up to eight arenas for each core, keeps blocks of up to 32 MiB once such were freed, and every thread that writes a PNG
/// file leaves zlib's memory behind: a server grew by a quarter within ten minutes (docs/log.md, 2026-11-30).
/// </remarks>
internal static partial class FreedMemory
{
    // malloc.h
    private const int MapThreshold = -3;
    private const int MostArenas = -8;

    private const int Arenas = 2;
    private const long YoungBytes = 4 << 20;
    private const int LargeBlock = 32 << 10; // zlib takes 344 KiB for an image

    private static readonly TimeSpan Interval = TimeSpan.FromMilliseconds(100);

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

    /// <summary>
    /// Collects young objects whenever so many bytes have been allocated, until it is cancelled. The runtime by itself waits for as many as the
    /// processor's cache holds, which for a server of small pictures is most of its memory; only an environment variable (DOTNET_GCgen0size) says
    /// otherwise.
    /// </summary>
    public static async Task CollectYoungAsync(CancellationToken cancellation)
    {
        using var timer = new PeriodicTimer(Interval);
        try
        {
            for (var collected = 0L; await timer.WaitForNextTickAsync(cancellation);)
            {
                if (GC.GetTotalAllocatedBytes() is var allocated && allocated - collected > YoungBytes)
                {
                    collected = allocated;
                    GC.Collect(0, GCCollectionMode.Forced, blocking: true);
                }
            }
        }
        catch (OperationCanceledException)
        {
            // The server ends.
        }
    }

    [LibraryImport("libc", EntryPoint = "mallopt")]
    private static partial int SetOption(int option, int value);
}
