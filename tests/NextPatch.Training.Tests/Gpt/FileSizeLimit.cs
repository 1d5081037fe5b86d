using System.Runtime.InteropServices;

namespace NextPatch.Training.Tests.Gpt;

/// <summary>
/// Lets no file of this process grow beyond a size: the kernel breaks writes off in the middle, as a full disk does, and needs no rights
/// for it (RLIMIT_FSIZE, EFBIG).
/// </summary>
internal sealed partial class FileSizeLimit : IDisposable
{
    private const int FileSize = 1; // RLIMIT_FSIZE
    private const PosixSignal TooLarge = (PosixSignal)25; // SIGXFSZ

    // Kept for good: the runtime asks handlers later, on a thread of its own, and without one it ends the process.
    private static PosixSignalRegistration? _signal;
    private readonly Limits _before;

    public FileSizeLimit(ulong bytes)
    {
        Assert.SkipUnless(OperatingSystem.IsLinux() || OperatingSystem.IsMacOS(), "limits of a process are a thing of Unix");
        _signal ??= PosixSignalRegistration.Create(TooLarge, c => c.Cancel = true);
        Assert.Equal(0, GetLimit(FileSize, out _before));
        Set(bytes);
    }

    public void Set(ulong bytes) => Assert.Equal(0, SetLimit(FileSize, _before with { Soft = bytes }));

    public void Dispose() => Assert.Equal(0, SetLimit(FileSize, _before));

    [LibraryImport("libc", EntryPoint = "getrlimit")]
    private static partial int GetLimit(int resource, out Limits limits);

    [LibraryImport("libc", EntryPoint = "setrlimit")]
    private static partial int SetLimit(int resource, in Limits limits);

    [StructLayout(LayoutKind.Sequential)]
    private record struct Limits(ulong Soft, ulong Hard);
}
