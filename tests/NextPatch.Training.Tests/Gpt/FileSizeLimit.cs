using System.Runtime.InteropServices;

namespace NextPatch.Training.Tests.Gpt;

/// <summary>
/// Lets no file of this process grow beyond a size: the kernel breaks writes off in the middle, as a full disk does, and needs no rights
/// for it (RLIMIT_FSIZE, EFBIG).
/// </summary>
internal sealed partial class FileSizeLimit : IDisposable
{
    private const int FileSize = 1; // RLIMIT_FSIZE
    private readonly Limits _before;
    private readonly PosixSignalRegistration _signal = PosixSignalRegistration.Create((PosixSignal)25, c => c.Cancel = true); // SIGXFSZ

    public FileSizeLimit(ulong bytes)
    {
        Assert.SkipUnless(OperatingSystem.IsLinux() || OperatingSystem.IsMacOS(), "limits of a process are a thing of Unix");
        Assert.Equal(0, GetLimit(FileSize, out _before));
        Set(bytes);
    }

    public void Set(ulong bytes) => Assert.Equal(0, SetLimit(FileSize, _before with { Soft = bytes }));

    public void Dispose()
    {
        Assert.Equal(0, SetLimit(FileSize, _before));
        _signal.Dispose();
    }

    [LibraryImport("libc", EntryPoint = "getrlimit")]
    private static partial int GetLimit(int resource, out Limits limits);

    [LibraryImport("libc", EntryPoint = "setrlimit")]
    private static partial int SetLimit(int resource, in Limits limits);

    [StructLayout(LayoutKind.Sequential)]
    private record struct Limits(ulong Soft, ulong Hard);
}
