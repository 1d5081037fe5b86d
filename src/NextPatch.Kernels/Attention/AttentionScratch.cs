using System.Runtime.CompilerServices;

namespace NextPatch.Kernels.Attention;

/// <summary>A thread's working memory for one head; it stays with the thread.</summary>
internal readonly unsafe ref struct AttentionScratch
{
    [ThreadStatic]
    private static float[]? _memory;

    public AttentionScratch(int tokens, int queries, int width)
    {
        Stride = (((tokens + 15) / 16) | 1) * 16;
        var (head, block) = (Padded(Stride * width), queries * Stride);
        var needed = (6 * head) + (3 * block) + (2 * Padded(queries * width)) + 16;
        if (_memory is null || _memory.Length < needed)
        {
            _memory = GC.AllocateUninitializedArray<float>(needed, pinned: true);
        }

        var next = (float*)(((nint)Unsafe.AsPointer(ref _memory[0]) + 63) & ~63);
        Keys = Take(ref next, head);
        KeysTransposed = Take(ref next, head);
        Values = Take(ref next, head);
        ValuesTransposed = Take(ref next, head);
        KeyGradients = Take(ref next, head);
        ValueGradients = Take(ref next, head);
        Scores = Take(ref next, block);
        WeightGradients = Take(ref next, block);
        Dropped = Take(ref next, block);
        Queries = Take(ref next, Padded(queries * width));
        Mixed = Take(ref next, Padded(queries * width));
    }

    /// <summary>
    /// Distance of rows of N, an odd number of cache lines: a power of two would put the rows into few sets of the first-level cache.
    /// </summary>
    public int Stride { get; }

    public float* Keys { get; }

    public float* KeysTransposed { get; }

    public float* Values { get; }

    public float* ValuesTransposed { get; }

    public float* KeyGradients { get; }

    public float* ValueGradients { get; }

    public float* Scores { get; }

    public float* WeightGradients { get; }

    public float* Dropped { get; }

    public float* Queries { get; }

    public float* Mixed { get; }

    private static int Padded(int floats) => (floats + 15) & ~15;

    private static float* Take(ref float* next, int floats)
    {
        var taken = next;
        next += floats;
        return taken;
    }
}
