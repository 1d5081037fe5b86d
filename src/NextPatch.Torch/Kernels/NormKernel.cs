using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;

namespace NextPatch.Torch.Kernels;

// Shape letters: R rows (images x tokens), C width.

/// <summary>
/// Residual addition, dropout and root-mean-square norm in one pass over the rows, and their backward pass. Loops take eight columns at a time;
/// the scalar rest is also the plain twin (<c>vectorised = false</c>).
/// </summary>
internal static unsafe class NormKernel
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
    /// <param name="vectorised">False = the plain twin.</param>
    public static void Forward<T>(int rows, int width, float* x, T* branch, BranchDrop drop, float* sum, float* weight, float epsilon, T* normed, float* inverse, bool vectorised = true)
        where T : unmanaged, IElement<T>
        => RowSplit.Run(rows, width, [MethodImpl(MethodImplOptions.AggressiveOptimization)] (first, end) =>
        {
            var lanes = vectorised ? width & ~7 : 0;
            for (var row = first; row < end; row++)
            {
                var at = (long)row * width;
                var h = branch == null ? x + at : sum + at;
                if (branch != null)
                {
                    Add(width, lanes, x + at, branch + at, drop, row, h);
                }

                var scale = 1 / MathF.Sqrt((SumOfSquares(width, lanes, h) / width) + epsilon);
                inverse[row] = scale;
                var c = 0;
                for (; c < lanes; c += 8)
                {
                    T.Store(normed + at + c, Vector256.Load(h + c) * scale * Vector256.Load(weight + c));
                }

                for (; c < width; c++)
                {
                    normed[at + c] = T.Narrow(h[c] * scale * weight[c]);
                }
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
    /// <param name="vectorised">False = the plain twin.</param>
    public static void Backward<T>(int rows, int width, T* normedGradient, float* x, float* inverse, float* weight, float* residualGradient, bool isFirst, float* weightGradient, T* branchGradient, BranchDrop drop, bool vectorised = true)
        where T : unmanaged, IElement<T>
    {
        var parts = Math.Min(GradientParts, rows);
        var sums = new float[parts][];
        RowSplit.Run(parts, (long)rows / parts * width, [MethodImpl(MethodImplOptions.AggressiveOptimization)] (firstPart, endPart) =>
        {
            for (var part = firstPart; part < endPart; part++)
            {
                sums[part] = new float[width];
                fixed (float* sum = sums[part])
                {
                    for (var row = (int)((long)rows * part / parts); row < (int)((long)rows * (part + 1) / parts); row++)
                    {
                        BackwardRow(width, vectorised ? width & ~7 : 0, normedGradient, x, inverse[row], weight, residualGradient, isFirst, sum, branchGradient, drop, row);
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
    private static void BackwardRow<T>(int width, int lanes, T* normedGradient, float* x, float inverse, float* weight, float* residualGradient, bool isFirst, float* weightGradient, T* branchGradient, BranchDrop drop, int row)
        where T : unmanaged, IElement<T>
    {
        var at = (long)row * width;
        var dy = normedGradient + at;
        float* h = x + at, d = residualGradient + at;
        var dot = Vector256<float>.Zero;
        var c = 0;
        for (; c < lanes; c += 8)
        {
            var product = T.Load(dy + c) * Vector256.Load(h + c);
            (Vector256.Load(weightGradient + c) + (product * inverse)).Store(weightGradient + c);
            dot += product * Vector256.Load(weight + c);
        }

        var total = Vector256.Sum(dot);
        for (; c < width; c++)
        {
            var product = T.Widen(dy[c]) * h[c];
            weightGradient[c] += product * inverse;
            total += product * weight[c];
        }

        // d(x_i r w_i) with r = (mean x^2 + eps)^(-1/2): r w dy - x r^3 mean(x w dy)
        var pull = inverse * inverse * inverse * total / width;
        var factor = drop.SampleFactor(row);
        for (c = 0; c < lanes; c += 8)
        {
            var g = (T.Load(dy + c) * Vector256.Load(weight + c) * inverse) - (Vector256.Load(h + c) * pull);
            if (!isFirst)
            {
                g += Vector256.Load(d + c);
            }

            g.Store(d + c);
            if (branchGradient != null)
            {
                T.Store(branchGradient + at + c, drop.Mask.IsActive ? g * factor * drop.Mask.Factors((uint)(at + c)) : g * factor);
            }
        }

        for (; c < width; c++)
        {
            d[c] = (isFirst ? 0 : d[c]) + (T.Widen(dy[c]) * weight[c] * inverse) - (h[c] * pull);
            if (branchGradient != null)
            {
                branchGradient[at + c] = T.Narrow(d[c] * factor * (drop.Mask.IsActive ? drop.Mask.Factor((uint)(at + c)) : 1));
            }
        }
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void Add<T>(int width, int lanes, float* x, T* branch, BranchDrop drop, int row, float* sum)
        where T : unmanaged, IElement<T>
    {
        var (factor, at) = (drop.SampleFactor(row), (uint)((long)row * width));
        var c = 0;
        for (; c < lanes; c += 8)
        {
            var b = T.Load(branch + c) * factor;
            (Vector256.Load(x + c) + (drop.Mask.IsActive ? b * drop.Mask.Factors(at + (uint)c) : b)).Store(sum + c);
        }

        for (; c < width; c++)
        {
            sum[c] = x[c] + (T.Widen(branch[c]) * factor * (drop.Mask.IsActive ? drop.Mask.Factor(at + (uint)c) : 1));
        }
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static float SumOfSquares(int width, int lanes, float* h)
    {
        var sum = Vector256<float>.Zero;
        var c = 0;
        for (; c < lanes; c += 8)
        {
            var v = Vector256.Load(h + c);
            sum += v * v;
        }

        var total = Vector256.Sum(sum);
        for (; c < width; c++)
        {
            total += h[c] * h[c];
        }

        return total;
    }
}
