using System.Runtime.InteropServices;

namespace NextPatch.Core.Files;

/// <summary>Tells files from what merely has a place among them: opening a named pipe waits for a writer, and a device never ends.</summary>
/// <remarks>
/// .NET does not say which is which, so the system is asked. On Linux only: elsewhere everything counts as a file. Costs about a microsecond.
/// </remarks>
internal static unsafe partial class RegularFile
{
    private const int CurrentFolder = -100; // AT_FDCWD
    private const uint TypeAndMode = 3; // STATX_TYPE | STATX_MODE
    private const int StatusBytes = 256; // struct statx, the same for all processors
    private const int ModeOffset = 28;
    private const int TypeMask = 0xF000;

    /// <summary>What a path names where it is neither a file nor a folder; null where it is one, or missing.</summary>
    public static string? OtherKindOf(string path)
    {
        if (!OperatingSystem.IsLinux())
        {
            return null;
        }

        var status = stackalloc byte[StatusBytes];
        try
        {
            if (Status(CurrentFolder, path, 0, TypeAndMode, status) != 0)
            {
                return null;
            }
        }
        catch (EntryPointNotFoundException)
        {
            return null; // a C library from before 2018
        }

        return KindOf(*(ushort*)(status + ModeOffset));
    }

    /// <summary>What the type in a Unix mode says where it is neither a file, a folder nor a link; null where it is or says nothing.</summary>
    public static string? KindOf(int mode) => (mode & TypeMask) switch
    {
        0x1000 => "a named pipe",
        0x2000 => "a character device",
        0x6000 => "a block device",
        0xC000 => "a socket",
        _ => null,
    };

    /// <exception cref="NextPatchException">There is something at the path that is neither a file nor a folder.</exception>
    public static void Require(string path)
    {
        if (OtherKindOf(path) is { } kind)
        {
            throw new NextPatchException($"'{path}' is {kind}, not a file; copy its content into a file and name that.");
        }
    }

    [LibraryImport("libc", EntryPoint = "statx", StringMarshalling = StringMarshalling.Utf8)]
    private static partial int Status(int folder, string path, int flags, uint mask, byte* status);
}
