using System.Runtime.CompilerServices;
using NextPatch.Kernels.Simd;
using NextPatch.Kernels.Threading;

namespace NextPatch.Kernels.Elementwise;

// Shape letters: R rows (images x tokens), C width.

/// <summary>Residual addition, dropout and root-mean-square norm in one pass over the rows, and their backward pass.</summary>
/// <typeparam name="L">Columns computed at once; those that remain are done one by one.</typeparam>
internal static unsafe class NormKernel<L>
    where L : unmanaged, ISimd<L>
{
    /// <summary>Parts whose sums of the weight gradient are kept apart: fixed, so that the sum does not depend on threads.</summary>
    private const int GradientParts = 16;

    /// <summary>sum = x + branch * dropout * sample factor; normed = sum / rms(sum) * weight.</summary>
    /// <param name="rows">R.</param>
    /// <param name="width">C.</param>
    /// <param name="x">Residual stream [R, C].</param>
    /// <param name="branch">What is added, or null: <paramref name="sum"/> is then not written.</param>
    /// <param name="drop">How the branch is dropped.</param>
    /// <param name="sum">The new residual stream [R, C].</param>
    /// <param name="weight">[C].</param>
    /// <param name="epsilon">Added to the mean square.</param>
    /// <param name="normed">[R, C].</param>
    /// <param name="inverse">1 / rms of each row, [R], for the backward pass.</param>
    public static void Forward<T>(
        int rows, int width, float* x, T* branch, BranchDrop drop, float* sum, float* weight, float epsilon, T* normed, float* inverse)
        where T : unmanaged, IElement<T>
        => ParallelRows.Run(rows, width, (first, end) =>
        {
            for (var row = first; row < end; row++)
            {
                var at = (long)row * width;
                var h = branch == null ? x + at : sum + at;
                if (branch != null)
                {
                    Add(0, width, x + at, branch + at, drop, row, h);
                }

                inverse[row] = 1 / MathF.Sqrt((SumOfSquares(0, width, h) / width) + epsilon);
                Scale(0, width, h, inverse[row], weight, normed + at);
            }
        });

    /// <summary>
    /// Adds the gradient of a norm's input to the residual gradient, and sends the result, dropped as the forward pass did, to the branch before.
    /// </summary>
    /// <param name="rows">R.</param>
    /// <param name="width">C.</param>
    /// <param name="normedGradient">[R, C].</param>
    /// <param name="x">The norm's input [R, C].</param>
    /// <param name="inverse">[R].</param>
    /// <param name="weight">[C].</param>
    /// <param name="residualGradient">[R, C]; added to, or overwritten where <paramref name="isFirst"/>.</param>
    /// <param name="isFirst">Whether nothing has arrived yet at the residual stream.</param>
    /// <param name="weightGradient">[C]; added to.</param>
    /// <param name="branchGradient">[R, C], or null at the first norm.</param>
    /// <param name="drop">How the branch before was dropped.</param>
    public static void Backward<T>(
        int rows, int width, T* normedGradient, float* x, float* inverse, float* weight, float* residualGradient, bool isFirst, float* weightGradient,
        T* branchGradient, BranchDrop drop)
        where T : unmanaged, IElement<T>
    {
        var parts = Math.Min(GradientParts, rows);
        var sums = new float[parts][];
        ParallelRows.Run(parts, (long)rows / parts * width, (firstPart, endPart) =>
        {
            for (var part = firstPart; part < endPart; part++)
            {
                sums[part] = new float[width];
                fixed (float* sum = sums[part])
                {
                    for (var row = (int)((long)rows * part / parts); row < (int)((long)rows * (part + 1) / parts); row++)
                    {
                        var (at, r) = ((long)row * width, inverse[row]);
                        // d(x_i r w_i) with r = (mean x^2 + eps)^(-1/2): r w dy - x r^3 mean(x w dy)
                        var pull = r * r * r * WeightGradient(0, width, normedGradient + at, x + at, r, weight, sum) / width;
                        InputGradient(
                            0, width, normedGradient + at, x + at, r, pull, weight, residualGradient + at, isFirst,
                            branchGradient == null ? null : branchGradient + at, drop, row);
                    }
                }
            }
        });
        foreach (var sum in sums)
        {
            for (var c = 0; c < width; c++)
            {
                weightGradient[c] += sum[c];
            }
        }
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void Add<T>(int c, int width, float* x, T* branch, BranchDrop drop, int row, float* sum)
        where T : unmanaged, IElement<T>
    {
        var (factor, at) = (L.Create(drop.SampleFactor(row)), (uint)((long)row * width));
        for (; c <= width - L.Count; c += L.Count)
        {
            var b = T.Load<L>(branch + c) * factor;
            L.Store(sum + c, L.Load(x + c) + (drop.Mask.IsActive ? b * L.Factors(drop.Mask, at + (uint)c) : b));
        }

        if (c < width)
        {
            NormKernel<Simd1>.Add(c, width, x, branch, drop, row, sum);
        }
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static float SumOfSquares(int c, int width, float* h)
    {
        var sum = L.Create(0);
        for (; c <= width - L.Count; c += L.Count)
        {
            var v = L.Load(h + c);
            sum += v * v;
        }

        return L.Sum(sum) + (c < width ? NormKernel<Simd1>.SumOfSquares(c, width, h) : 0);
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void Scale<T>(int c, int width, float* h, float inverse, float* weight, T* normed)
        where T : unmanaged, IElement<T>
    {
        for (; c <= width - L.Count; c += L.Count)
        {
            T.Store(normed + c, L.Load(h + c) * L.Create(inverse) * L.Load(weight + c));
        }

        if (c < width)
        {
            NormKernel<Simd1>.Scale(c, width, h, inverse, weight, normed);
        }
    }

    /// <summary>Adds to the gradient of the weight; returns the sum of x w dy.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static float WeightGradient<T>(int c, int width, T* dy, float* x, float inverse, float* weight, float* gradient)
        where T : unmanaged, IElement<T>
    {
        var dot = L.Create(0);
        for (; c <= width - L.Count; c += L.Count)
        {
            var product = T.Load<L>(dy + c) * L.Load(x + c);
            L.Store(gradient + c, L.Load(gradient + c) + (product * L.Create(inverse)));
            dot += product * L.Load(weight + c);
        }

        return L.Sum(dot) + (c < width ? NormKernel<Simd1>.WeightGradient(c, width, dy, x, inverse, weight, gradient) : 0);
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void InputGradient<T>(
        int c, int width, T* dy, float* x, float inverse, float pull, float* weight, float* residual, bool isFirst, T* branch, BranchDrop drop,
        int row)
        where T : unmanaged, IElement<T>
    {
        var (factor, at) = (L.Create(drop.SampleFactor(row)), (uint)((long)row * width));
        for (; c <= width - L.Count; c += L.Count)
        {
            var g = (T.Load<L>(dy + c) * L.Load(weight + c) * L.Create(inverse)) - (L.Load(x + c) * L.Create(pull));
            if (!isFirst)
            {
                g += L.Load(residual + c);
            }

            L.Store(residual + c, g);
            if (branch != null)
            {
                T.Store(branch + c, drop.Mask.IsActive ? g * factor * L.Factors(drop.Mask, at + (uint)c) : g * factor);
            }
        }

        if (c < width)
        {
            NormKernel<Simd1>.InputGradient(c, width, dy, x, inverse, pull, weight, residual, isFirst, branch, drop, row);
        }
    }
}

/// <summary>What happens to a residual branch in training: dropout of elements, and whole samples dropped (drop path).</summary>
/// <param name="Mask">Dropout of elements.</param>
/// <param name="SampleFactors">0 or 1 / (1 - probability) per sample; null = all stay.</param>
/// <param name="RowsPerSample">Tokens per image.</param>
internal readonly record struct BranchDrop(DropMask Mask, float[]? SampleFactors, int RowsPerSample)
{
    public float SampleFactor(int row) => SampleFactors is null ? 1 : SampleFactors[row / RowsPerSample];
}
