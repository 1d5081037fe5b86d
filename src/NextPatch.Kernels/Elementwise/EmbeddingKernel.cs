using System.Runtime.CompilerServices;
using NextPatch.Core.Patches;
using NextPatch.Kernels.Simd;
using NextPatch.Kernels.Threading;

namespace NextPatch.Kernels.Elementwise;

// Shape letters: B batch, K condition rows, N patches per image, T codes per image, C width, P codes per patch.

/// <summary>
/// Condition rows (a class token, or a caption's), then sums of the codes' rows, each with a factor, for all patches but the last, and the
/// gradients of both tables. Work is split by columns: threads never meet in a row, and each sum has one order. The embeddings of single codes
/// are never laid out.
/// </summary>
/// <typeparam name="L">Columns computed at once; those that remain are done one by one.</typeparam>
internal static unsafe class EmbeddingKernel<L>
    where L : unmanaged, ISimd<L>
{
    private const int ColumnsPerPart = 64;

    /// <param name="labels">[B].</param>
    /// <param name="codes">Row-major, [B, T].</param>
    /// <param name="geometry">The division of the grid.</param>
    /// <param name="width">C.</param>
    /// <param name="grouping">Factors of a patch's codes.</param>
    /// <param name="condition">Where condition rows come from.</param>
    /// <param name="table">Code table [V, C].</param>
    /// <param name="drop">Token dropout.</param>
    /// <param name="sequence">[B, K + N - 1, C].</param>
    public static void Forward(
        ReadOnlyMemory<long> labels, ReadOnlyMemory<long> codes, PatchGeometry geometry, int width, PatchFactors grouping, ConditionRows condition,
        float* table, DropMask drop, float* sequence)
    {
        var tokens = condition.Count + geometry.PatchCount - 1;
        var members = grouping.Members();
        ParallelRows.Run(labels.Length * tokens, (long)width * members.Length, (first, end) =>
        {
            for (var row = first; row < end; row++)
            {
                var (image, position) = (row / tokens, row % tokens);
                var to = sequence + ((long)row * width);
                var isCondition = position < condition.Count;
                float* Embedding(int member) => table + (Code(codes, geometry, image, position - condition.Count, member) * width);
                var start = isCondition ? condition.Row(labels, image, position, width) : Embedding(members[0]);
                Place(0, width, start, to, isCondition ? 1 : grouping.Factors[members[0]]);
                for (var i = 1; i < members.Length && !isCondition; i++)
                {
                    Accumulate(0, width, Embedding(members[i]), to, grouping.Factors[members[i]]);
                }

                Finish(0, width, to, isCondition ? 1 : grouping.Scale, drop, (uint)((long)row * width));
            }
        });
    }

    /// <summary>
    /// Adds to the gradients of code table and condition; <paramref name="gradient"/>, of the sequence [B, K + N - 1, C], becomes that before
    /// dropout.
    /// </summary>
    /// <param name="labels">[B].</param>
    /// <param name="codes">[B, T].</param>
    /// <param name="geometry">The division of the grid.</param>
    /// <param name="width">C.</param>
    /// <param name="grouping">Factors of a patch's codes.</param>
    /// <param name="condition">Gradient of the condition rows.</param>
    /// <param name="table">Gradient of the code table.</param>
    /// <param name="drop">As in the forward pass.</param>
    /// <param name="gradient">[B, K + N - 1, C].</param>
    public static void Backward(
        ReadOnlyMemory<long> labels, ReadOnlyMemory<long> codes, PatchGeometry geometry, int width, PatchFactors grouping, ConditionRows condition,
        float* table, DropMask drop, float* gradient)
    {
        var tokens = condition.Count + geometry.PatchCount - 1;
        var members = grouping.Members();
        var rows = labels.Length * tokens;
        if (drop.IsActive)
        {
            ParallelRows.Run(rows, width, (first, end) =>
            {
                for (var row = first; row < end; row++)
                {
                    Finish(0, width, gradient + ((long)row * width), 1, drop, (uint)((long)row * width));
                }
            });
        }

        ParallelRows.Run((width + ColumnsPerPart - 1) / ColumnsPerPart, (long)rows * members.Length * ColumnsPerPart, (firstPart, endPart) =>
        {
            var (from, to) = (firstPart * ColumnsPerPart, Math.Min(width, endPart * ColumnsPerPart));
            for (var row = 0; row < rows; row++)
            {
                var (image, position) = (row / tokens, row % tokens);
                var d = gradient + ((long)row * width);
                if (position < condition.Count)
                {
                    Accumulate(from, to, d, condition.Row(labels, image, position, width), 1);
                    continue;
                }

                foreach (var member in members)
                {
                    var sums = table + (Code(codes, geometry, image, position - condition.Count, member) * width);
                    Accumulate(from, to, d, sums, grouping.Factors[member] * grouping.Scale);
                }
            }
        });
    }

    private static long Code(ReadOnlyMemory<long> codes, PatchGeometry geometry, int image, int patch, int member)
        => codes.Span[(image * geometry.GridSide * geometry.GridSide) + geometry.CodeIndex(patch, member)];

    /// <summary>to = values * factor.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void Place(int c, int width, float* values, float* to, float factor)
    {
        for (; c <= width - L.Count; c += L.Count)
        {
            L.Store(to + c, L.Load(values + c) * L.Create(factor));
        }

        if (c < width)
        {
            EmbeddingKernel<Simd1>.Place(c, width, values, to, factor);
        }
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void Accumulate(int c, int to, float* values, float* sums, float factor)
    {
        for (; c <= to - L.Count; c += L.Count)
        {
            L.Store(sums + c, L.Load(sums + c) + (L.Load(values + c) * L.Create(factor)));
        }

        if (c < to)
        {
            EmbeddingKernel<Simd1>.Accumulate(c, to, values, sums, factor);
        }
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void Finish(int c, int width, float* row, float factor, DropMask drop, uint element)
    {
        for (; c <= width - L.Count; c += L.Count)
        {
            var v = L.Load(row + c) * L.Create(factor);
            L.Store(row + c, drop.IsActive ? v * L.Factors(drop, element + (uint)c) : v);
        }

        if (c < width)
        {
            EmbeddingKernel<Simd1>.Finish(c, width, row, factor, drop, element);
        }
    }
}

/// <summary>A patch token as a sum of code embeddings: <paramref name="Scale"/> * sum_i Factors[i] e_i.</summary>
/// <param name="Factors">One per code of the patch, [P].</param>
/// <param name="Scale">Factor of the sum; apart, so that a mean is a sum and one product.</param>
internal sealed record PatchFactors(float[] Factors, float Scale)
{
    /// <summary>The codes that count, at least one.</summary>
    public int[] Members()
    {
        int[] members = [.. Enumerable.Range(0, Factors.Length).Where(i => Factors[i] != 0)];
        return members.Length > 0 ? members : [0];
    }
}

/// <summary>Where the condition rows of images lie: a row of a class table each, or K rows of a caption.</summary>
internal readonly unsafe struct ConditionRows
{
    private readonly float* _rows;
    private readonly bool _areClasses;

    private ConditionRows(float* rows, int count, bool areClasses)
    {
        _rows = rows;
        (Count, _areClasses) = (count, areClasses);
    }

    /// <summary>K.</summary>
    public int Count { get; }

    /// <param name="table">[classes, C].</param>
    public static ConditionRows Classes(float* table) => new(table, 1, areClasses: true);

    /// <param name="rows">[B, K, C].</param>
    /// <param name="count">K.</param>
    public static ConditionRows Captions(float* rows, int count) => new(rows, count, areClasses: false);

    /// <summary>A row of an image, [C].</summary>
    public float* Row(ReadOnlyMemory<long> labels, int image, int position, int width)
        => _rows + ((_areClasses ? labels.Span[image] : ((long)image * Count) + position) * width);
}
