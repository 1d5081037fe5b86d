using System.Runtime.CompilerServices;
using NextPatch.Kernels.Simd;
using NextPatch.Kernels.Threading;

namespace NextPatch.Kernels.Elementwise;

// Shape letters: R rows, V vocabulary, P codes per patch.

/// <summary>Patch loss of rows of logits and its gradient in their place.</summary>
/// <typeparam name="L">Logits computed at once; those that remain are done one by one.</typeparam>
internal static unsafe class CrossEntropyKernel<L>
    where L : unmanaged, ISimd<L>
{
    /// <summary>
    /// loss = logsumexp(z) - sum_i w_i z[t_i] / sum_i w_i; z becomes (softmax(z) - the targets' shares) * <paramref name="weight"/>.
    /// </summary>
    /// <param name="rows">R.</param>
    /// <param name="vocabulary">V.</param>
    /// <param name="logits">[R, V]; becomes the gradient.</param>
    /// <param name="targets">[R, P].</param>
    /// <param name="targetWeights">w, [P]; ones where all codes of a patch count the same.</param>
    /// <param name="weight">Weight of a row in the loss of the step.</param>
    /// <param name="losses">Loss of each row in nats, [R].</param>
    public static void Run<T>(int rows, int vocabulary, T* logits, int* targets, float[] targetWeights, float weight, double* losses)
        where T : unmanaged, IElement<T>
    {
        var (codesPerPatch, weightSum) = (targetWeights.Length, targetWeights.Sum());
        ParallelRows.Run(rows, 2L * vocabulary, (first, end) =>
        {
            var atTargets = new float[codesPerPatch];
            for (var row = first; row < end; row++)
            {
                var ofRow = new ReadOnlySpan<int>(targets + ((long)row * codesPerPatch), codesPerPatch);
                losses[row] = Row(vocabulary, logits + ((long)row * vocabulary), ofRow, targetWeights, weightSum, weight, atTargets);
            }
        });
    }

    private static double Row<T>(
        int vocabulary, T* z, ReadOnlySpan<int> targets, ReadOnlySpan<float> targetWeights, float weightSum, float weight, Span<float> atTargets)
        where T : unmanaged, IElement<T>
    {
        var targetSum = 0.0;
        for (var i = 0; i < targets.Length; i++)
        {
            atTargets[i] = T.Load<Simd1>(z + targets[i]).Value;
            targetSum += (double)targetWeights[i] * atTargets[i];
        }

        var maximum = Maximum(0, vocabulary, z);
        var sum = SumOfExponentials(0, vocabulary, z, maximum);
        var scale = weight / sum;
        Probabilities(0, vocabulary, z, maximum, scale);
        for (var i = 0; i < targets.Length; i++)
        {
            var probability = Exponential.Evaluate(new Simd1(atTargets[i] - maximum)).Value * scale;
            T.Store(z + targets[i], new Simd1(probability - (weight * WeightOf(targets[i], targets, targetWeights) / weightSum)));
        }

        return maximum + Math.Log(sum) - (targetSum / weightSum);
    }

    /// <summary>The weights of all positions that have a code.</summary>
    private static float WeightOf(int code, ReadOnlySpan<int> targets, ReadOnlySpan<float> targetWeights)
    {
        var sum = 0f;
        for (var i = 0; i < targets.Length; i++)
        {
            sum += targets[i] == code ? targetWeights[i] : 0;
        }

        return sum;
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static float Maximum<T>(int c, int vocabulary, T* z)
        where T : unmanaged, IElement<T>
    {
        var maxima = L.Create(float.NegativeInfinity);
        for (; c <= vocabulary - L.Count; c += L.Count)
        {
            maxima = L.Max(maxima, T.Load<L>(z + c));
        }

        return MathF.Max(L.Maximum(maxima), c < vocabulary ? CrossEntropyKernel<Simd1>.Maximum(c, vocabulary, z) : float.NegativeInfinity);
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static float SumOfExponentials<T>(int c, int vocabulary, T* z, float maximum)
        where T : unmanaged, IElement<T>
    {
        var sums = L.Create(0);
        for (; c <= vocabulary - L.Count; c += L.Count)
        {
            sums += Exponential.Evaluate(T.Load<L>(z + c) - L.Create(maximum));
        }

        return L.Sum(sums) + (c < vocabulary ? CrossEntropyKernel<Simd1>.SumOfExponentials(c, vocabulary, z, maximum) : 0);
    }

    /// <summary>z = exp(z - maximum) * scale.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void Probabilities<T>(int c, int vocabulary, T* z, float maximum, float scale)
        where T : unmanaged, IElement<T>
    {
        for (; c <= vocabulary - L.Count; c += L.Count)
        {
            T.Store(z + c, Exponential.Evaluate(T.Load<L>(z + c) - L.Create(maximum)) * L.Create(scale));
        }

        if (c < vocabulary)
        {
            CrossEntropyKernel<Simd1>.Probabilities(c, vocabulary, z, maximum, scale);
        }
    }
}
