using System.Numerics;
using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using NextPatch.Core.Configuration;
using NextPatch.Core.Tensors;

namespace NextPatch.Training.Optimization;

/// <summary>
/// One AdamW update of a run of parameters, with clipping, the EMA and the bf16 copy in the same pass: memory is read once and
/// written once, 28 bytes a parameter, 8 more for the average and 2 for the copy, which is what bounds it.
/// </summary>
/// <remarks>Order of operations as PyTorch's single-tensor AdamW: decay first, then moments, then the step. Vector and scalar paths use the same
/// IEEE operations in the same order (no fused multiply-add), so they agree bit for bit; the scalar one also does the tail. Compiled for speed at
/// once: left to tiers, the first updates of a large model took three times as long.</remarks>
internal static class AdamWKernel
{
    /// <summary>Parameters whose update, average and copy are done one after the other while the first-level cache holds them.</summary>
    private const int Block = 1024;

    /// <summary>Updates with vectors of the processor's width.</summary>
    /// <param name="weights">Parameters; updated.</param>
    /// <param name="gradients">Their gradients, before clipping.</param>
    /// <param name="firstMoments">Running mean of gradients; updated.</param>
    /// <param name="secondMoments">Running mean of squared gradients; updated.</param>
    /// <param name="average">EMA of the weights; updated; empty = none.</param>
    /// <param name="copy">The new weights in bf16; empty = none.</param>
    /// <param name="step">The step's factors.</param>
    public static void Update(
        Span<float> weights, ReadOnlySpan<float> gradients, Span<float> firstMoments, Span<float> secondMoments, Span<float> average,
        Span<ushort> copy, in AdamWStep step)
    {
        for (var start = 0; start < weights.Length; start += Block)
        {
            var block = start..Math.Min(start + Block, weights.Length);
            UpdateBlock(weights[block], gradients[block], firstMoments[block], secondMoments[block], average.IsEmpty ? average : average[block],
                step);
            if (!copy.IsEmpty)
            {
                BFloat16.Narrow(weights[block], copy[block]);
            }
        }
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void UpdateBlock(
        Span<float> weights, ReadOnlySpan<float> gradients, Span<float> firstMoments, Span<float> secondMoments, Span<float> average,
        in AdamWStep step)
    {
        var width = Vector<float>.Count;
        var vectorised = weights.Length / width * width;
        var w = MemoryMarshal.Cast<float, Vector<float>>(weights[..vectorised]);
        var g = MemoryMarshal.Cast<float, Vector<float>>(gradients[..vectorised]);
        var m = MemoryMarshal.Cast<float, Vector<float>>(firstMoments[..vectorised]);
        var v = MemoryMarshal.Cast<float, Vector<float>>(secondMoments[..vectorised]);
        var clip = new Vector<float>(step.Clip);
        var keep = new Vector<float>(step.Keep);
        var first = new Vector<float>(1 - step.Beta1);
        var beta2 = new Vector<float>(step.Beta2);
        var second = new Vector<float>(1 - step.Beta2);
        var correction = new Vector<float>(step.SecondCorrection);
        var epsilon = new Vector<float>(step.Epsilon);
        var size = new Vector<float>(step.StepSize);
        for (var i = 0; i < w.Length; i++)
        {
            var gradient = g[i] * clip;
            var moment = m[i] + ((gradient - m[i]) * first);
            var square = (v[i] * beta2) + (gradient * gradient * second);
            m[i] = moment;
            v[i] = square;
            w[i] = (w[i] * keep) - (moment * size / ((Vector.SquareRoot(square) / correction) + epsilon));
        }

        if (!average.IsEmpty)
        {
            var a = MemoryMarshal.Cast<float, Vector<float>>(average[..vectorised]);
            var decay = new Vector<float>(step.AverageDecay);
            var rest = new Vector<float>(1 - step.AverageDecay);
            for (var i = 0; i < w.Length; i++)
            {
                a[i] = (a[i] * decay) + (w[i] * rest);
            }
        }

        UpdateScalar(weights[vectorised..], gradients[vectorised..], firstMoments[vectorised..], secondMoments[vectorised..],
            average.IsEmpty ? average : average[vectorised..], step);
    }

    /// <summary>The reference of <see cref="Update"/>, without the copy.</summary>
    public static void UpdateScalar(
        Span<float> weights, ReadOnlySpan<float> gradients, Span<float> firstMoments, Span<float> secondMoments, Span<float> average,
        in AdamWStep step)
    {
        for (var i = 0; i < weights.Length; i++)
        {
            var gradient = gradients[i] * step.Clip;
            var moment = firstMoments[i] + ((gradient - firstMoments[i]) * (1 - step.Beta1));
            var square = (secondMoments[i] * step.Beta2) + (gradient * gradient * (1 - step.Beta2));
            firstMoments[i] = moment;
            secondMoments[i] = square;
            weights[i] = (weights[i] * step.Keep) - (moment * step.StepSize / ((MathF.Sqrt(square) / step.SecondCorrection) + step.Epsilon));
            if (!average.IsEmpty)
            {
                average[i] = (average[i] * step.AverageDecay) + (weights[i] * (1 - step.AverageDecay));
            }
        }
    }

    /// <summary>Sum of squares in double.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static double SumOfSquares(ReadOnlySpan<float> values)
    {
        var sum = 0.0;
        var width = Vector<float>.Count;
        var accumulator = Vector<double>.Zero;
        var i = 0;
        for (; i <= values.Length - width; i += width)
        {
            Vector.Widen(new Vector<float>(values[i..]), out var low, out var high);
            accumulator += (low * low) + (high * high);
        }

        for (; i < values.Length; i++)
        {
            sum += (double)values[i] * values[i];
        }

        return sum + Vector.Sum(accumulator);
    }
}

/// <summary>Factors of one update, the same for every parameter of a group.</summary>
/// <param name="Clip">Factor on the gradients.</param>
/// <param name="Keep">1 - learning rate * weight decay.</param>
/// <param name="Beta1">Decay of the first moments.</param>
/// <param name="Beta2">Decay of the second moments.</param>
/// <param name="StepSize">Learning rate / (1 - beta1^t).</param>
/// <param name="SecondCorrection">sqrt(1 - beta2^t).</param>
/// <param name="Epsilon">Added to the root of the second moments.</param>
/// <param name="AverageDecay">Decay of the EMA.</param>
internal readonly record struct AdamWStep(
    float Clip, float Keep, float Beta1, float Beta2, float StepSize, float SecondCorrection, float Epsilon, float AverageDecay)
{
    /// <summary>The factors of parameters that decay.</summary>
    /// <param name="config">Betas, decay, clipping, average.</param>
    /// <param name="learningRate">This step's rate.</param>
    /// <param name="gradientNorm">Norm of all gradients.</param>
    /// <param name="stepsBefore">Updates done.</param>
    /// <param name="stepsBeforeMoments">Updates done before the moments were last reset.</param>
    public static AdamWStep For(TrainingConfig config, double learningRate, double gradientNorm, long stepsBefore, long stepsBeforeMoments)
    {
        var clip = config.ClipNorm > 0 ? Math.Min(1, config.ClipNorm / (gradientNorm + 1e-6)) : 1;
        var decay = config.EmaWarmup ? Math.Min(config.EmaDecay, (1.0 + stepsBefore) / (10.0 + stepsBefore)) : config.EmaDecay;
        var updates = stepsBefore + 1 - stepsBeforeMoments;
        var stepSize = learningRate / (1 - Math.Pow(config.Beta1, updates));
        var correction = Math.Sqrt(1 - Math.Pow(config.Beta2, updates));
        return new AdamWStep(
            (float)clip, (float)(1 - (learningRate * config.WeightDecay)), (float)config.Beta1, (float)config.Beta2, (float)stepSize,
            (float)correction, (float)config.AdamEpsilon, (float)decay);
    }
}
