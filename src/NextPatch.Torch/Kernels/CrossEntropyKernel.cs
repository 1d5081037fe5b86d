using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;

namespace NextPatch.Torch.Kernels;

// Shape letters: R rows, V vocabulary, P codes per patch.

/// <summary>Patch loss of rows of logits and its gradient in their place; the scalar rest is also the plain twin (<c>vectorised = false</c>).</summary>
internal static unsafe class CrossEntropyKernel
{
    /// <summary>loss = logsumexp(z) - mean_i z[t_i]; z becomes (softmax(z) - target frequencies) * <paramref name="weight"/>.</summary>
    /// <param name="rows">R.</param>
    /// <param name="vocabulary">V.</param>
    /// <param name="logits">[R, V]; becomes the gradient.</param>
    /// <param name="targets">[R, P].</param>
    /// <param name="codesPerPatch">P.</param>
    /// <param name="weight">Weight of a row in the loss of the step.</param>
    /// <param name="losses">Loss of each row in nats, [R].</param>
    /// <param name="vectorised">False = the plain twin.</param>
    public static void Run<T>(int rows, int vocabulary, T* logits, int* targets, int codesPerPatch, float weight, double* losses, bool vectorised = true)
        where T : unmanaged, IElement<T>
        => RowSplit.Run(rows, 2L * vocabulary, [MethodImpl(MethodImplOptions.AggressiveOptimization)] (first, end) =>
        {
            var atTargets = new float[codesPerPatch];
            for (var row = first; row < end; row++)
            {
                losses[row] = Row(vocabulary, vectorised ? vocabulary & ~7 : 0, logits + ((long)row * vocabulary), new ReadOnlySpan<int>(targets + ((long)row * codesPerPatch), codesPerPatch), weight, atTargets);
            }
        });

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static double Row<T>(int vocabulary, int lanes, T* z, ReadOnlySpan<int> targets, float weight, Span<float> atTargets)
        where T : unmanaged, IElement<T>
    {
        var targetSum = 0.0;
        for (var i = 0; i < targets.Length; i++)
        {
            atTargets[i] = T.Widen(z[targets[i]]);
            targetSum += atTargets[i];
        }

        var maximum = Maximum(vocabulary, lanes, z);
        var sum = SumOfExponentials(vocabulary, lanes, z, maximum);
        var scale = weight / sum;
        var c = 0;
        for (; c < lanes; c += 8)
        {
            T.Store(z + c, Exponential.Of(T.Load(z + c) - Vector256.Create(maximum)) * scale);
        }

        for (; c < vocabulary; c++)
        {
            z[c] = T.Narrow(Exponential.Of(T.Widen(z[c]) - maximum) * scale);
        }

        for (var i = 0; i < targets.Length; i++)
        {
            z[targets[i]] = T.Narrow((Exponential.Of(atTargets[i] - maximum) * scale) - (weight * targets.Count(targets[i]) / targets.Length));
        }

        return maximum + Math.Log(sum) - (targetSum / targets.Length);
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static float Maximum<T>(int vocabulary, int lanes, T* z)
        where T : unmanaged, IElement<T>
    {
        var (maxima, c) = (Vector256.Create(float.NegativeInfinity), 0);
        for (; c < lanes; c += 8)
        {
            maxima = Vector256.MaxNative(maxima, T.Load(z + c));
        }

        var maximum = float.NegativeInfinity;
        for (var i = 0; i < 8; i++)
        {
            maximum = MathF.Max(maximum, maxima[i]);
        }

        for (; c < vocabulary; c++)
        {
            maximum = MathF.Max(maximum, T.Widen(z[c]));
        }

        return maximum;
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static float SumOfExponentials<T>(int vocabulary, int lanes, T* z, float maximum)
        where T : unmanaged, IElement<T>
    {
        var (sums, c) = (Vector256<float>.Zero, 0);
        for (; c < lanes; c += 8)
        {
            sums += Exponential.Of(T.Load(z + c) - Vector256.Create(maximum));
        }

        var sum = Vector256.Sum(sums);
        for (; c < vocabulary; c++)
        {
            sum += Exponential.Of(T.Widen(z[c]) - maximum);
        }

        return sum;
    }
}
