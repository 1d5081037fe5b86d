using System.IO.MemoryMappedFiles;
using System.Runtime.InteropServices;

namespace NextPatch.Core.Tests.Checkpoints;

/// <summary>What Linux keeps of a file in memory: what was written lately or read.</summary>
internal static class FileCache
{
    public static long BytesOf(string path)
    {
        using var file = MemoryMappedFile.CreateFromFile(path, FileMode.Open, mapName: null, capacity: 0, MemoryMappedFileAccess.Read);
        using var view = file.CreateViewAccessor(0, 0, MemoryMappedFileAccess.Read);
        var length = checked((nuint)new FileInfo(path).Length);
        var pages = new byte[((long)length + Environment.SystemPageSize - 1) / Environment.SystemPageSize];
        Assert.Equal(0, MemoryInCore(view.SafeMemoryMappedViewHandle.DangerousGetHandle(), length, pages));
        return pages.LongCount(p => (p & 1) != 0) * Environment.SystemPageSize;
    }

    [DllImport("libc", EntryPoint = "mincore")]
    private static extern int MemoryInCore(IntPtr start, nuint length, [Out] byte[] pages);
}
