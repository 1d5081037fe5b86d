using System.Runtime.CompilerServices;
using NextPatch.Core.Patches;
using NextPatch.Kernels.Simd;
using NextPatch.Kernels.Threading;

namespace NextPatch.Kernels.Elementwise;

// Shape letters: B batch, N patches per image, T codes per image, C width, P codes per patch.

/// <summary>
/// Class token, then sums of the codes' rows, each with a factor, for all patches but the last, and the gradients of both tables. Work is
/// split by columns: threads never meet in a row, and each sum has one order. The embeddings of single codes are never laid out.
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
    /// <param name="classes">Class table [classes, C].</param>
    /// <param name="table">Code table [V, C].</param>
    /// <param name="drop">Token dropout.</param>
    /// <param name="sequence">[B, N, C].</param>
    public static void Forward(
        ReadOnlyMemory<long> labels, ReadOnlyMemory<long> codes, PatchGeometry geometry, int width, PatchFactors grouping, float* classes,
        float* table, DropMask drop, float* sequence)
    {
        var patches = geometry.PatchCount;
        var members = grouping.Members();
        ParallelRows.Run(labels.Length * patches, (long)width * members.Length, (first, end) =>
        {
            for (var row = first; row < end; row++)
            {
                var (image, position) = (row / patches, row % patches);
                var to = sequence + ((long)row * width);
                var isClass = position == 0;
                float* Embedding(int member) => table + (Code(codes, geometry, image, position - 1, member) * width);
                var start = isClass ? classes + (labels.Span[image] * width) : Embedding(members[0]);
                Place(0, width, start, to, isClass ? 1 : grouping.Factors[members[0]]);
                for (var i = 1; i < members.Length && !isClass; i++)
                {
                    Accumulate(0, width, Embedding(members[i]), to, grouping.Factors[members[i]]);
                }

                Finish(0, width, to, isClass ? 1 : grouping.Scale, drop, (uint)((long)row * width));
            }
        });
    }

    /// <summary>Adds to the gradients of both tables; <paramref name="gradient"/>, of the sequence [B, N, C], becomes that before dropout.</summary>
    /// <param name="labels">[B].</param>
    /// <param name="codes">[B, T].</param>
    /// <param name="geometry">The division of the grid.</param>
    /// <param name="width">C.</param>
    /// <param name="grouping">Factors of a patch's codes.</param>
    /// <param name="classes">Gradient of the class table.</param>
    /// <param name="table">Gradient of the code table.</param>
    /// <param name="drop">As in the forward pass.</param>
    /// <param name="gradient">[B, N, C].</param>
    public static void Backward(
        ReadOnlyMemory<long> labels, ReadOnlyMemory<long> codes, PatchGeometry geometry, int width, PatchFactors grouping, float* classes,
        float* table, DropMask drop, float* gradient)
    {
        var patches = geometry.PatchCount;
        var members = grouping.Members();
        var rows = labels.Length * patches;
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
                var (image, position) = (row / patches, row % patches);
                var d = gradient + ((long)row * width);
                if (position == 0)
                {
                    Accumulate(from, to, d, classes + (labels.Span[image] * width), 1);
                    continue;
                }

                foreach (var member in members)
                {
                    var sums = table + (Code(codes, geometry, image, position - 1, member) * width);
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
