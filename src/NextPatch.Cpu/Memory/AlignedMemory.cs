using System.Runtime.InteropServices;

namespace NextPatch.Cpu.Memory;

/// <summary>
/// Memory outside the garbage collector's heap, handed out piece by piece on cache lines; in large pages where the system gives them.
/// </summary>
/// <remarks>Weights are read from end to end for every code: with pages of 4 KiB the processor would stop reading ahead at every 64th line.</remarks>
internal sealed unsafe partial class AlignedMemory : IDisposable
{
    private const int Line = 64;
    private const int LargePage = 2 << 20;
    private const int AdviseLargePages = 14; // MADV_HUGEPAGE

    private readonly nint _length;
    private byte* _start;
    private nint _used;

    /// <param name="length">Bytes; <see cref="Room{T}"/> says what a piece takes.</param>
    /// <param name="isZero">Whether it holds zeros; else anything, for one who fills all of it.</param>
    public AlignedMemory(nint length, bool isZero = true)
    {
        _length = length;
        var isLarge = length >= LargePage;
        _start = (byte*)NativeMemory.AlignedAlloc((nuint)length, (nuint)(isLarge ? LargePage : Line));
        if (isLarge && OperatingSystem.IsLinux())
        {
            _ = Advise(_start, length, AdviseLargePages); // what the system does with advice is its own affair
        }

        if (isZero)
        {
            NativeMemory.Clear(_start, (nuint)length);
        }
    }

    ~AlignedMemory() => Free();

    /// <summary>Bytes that so many elements take, filled up to whole cache lines.</summary>
    public static nint Room<T>(nint count)
        where T : unmanaged => ((count * sizeof(T)) + Line - 1) / Line * Line;

    /// <summary>The next piece.</summary>
    public T* Take<T>(nint count)
        where T : unmanaged
    {
        var piece = _start + _used;
        _used += Room<T>(count);
        return _used <= _length ? (T*)piece : throw new InvalidOperationException($"{_used} of {_length} bytes are taken.");
    }

    public void Dispose()
    {
        Free();
        GC.SuppressFinalize(this);
    }

    private void Free()
    {
        NativeMemory.AlignedFree(_start);
        _start = null;
    }

    [LibraryImport("libc", EntryPoint = "madvise")]
    private static partial int Advise(void* start, nint length, int advice);
}
