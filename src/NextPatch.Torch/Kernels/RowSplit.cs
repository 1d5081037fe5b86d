using static TorchSharp.torch;

namespace NextPatch.Torch.Kernels;

/// <summary>Shares independent rows among as many threads as libtorch uses. Results never depend on how many those are.</summary>
internal static class RowSplit
{
    /// <summary>Work below which waking another thread costs more than it gives.</summary>
    private const int ElementsPerPart = 1 << 14;

    /// <summary>Parts per thread, so that one that is held up by another process does not hold up all.</summary>
    private const int PartsPerThread = 4;

    /// <param name="rows">Number of rows.</param>
    /// <param name="elementsPerRow">Cost of one.</param>
    /// <param name="part">Does rows [first, end).</param>
    public static void Run(int rows, long elementsPerRow, Action<int, int> part)
    {
        var threads = get_num_threads();
        var parts = (int)Math.Clamp(rows * elementsPerRow / ElementsPerPart, 1, Math.Min(rows, threads * PartsPerThread));
        if (parts == 1 || threads == 1)
        {
            part(0, rows);
            return;
        }

        Parallel.For(0, parts, new ParallelOptions { MaxDegreeOfParallelism = threads }, i => part((int)((long)rows * i / parts), (int)((long)rows * (i + 1) / parts)));
    }
}
