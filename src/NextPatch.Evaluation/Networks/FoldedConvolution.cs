using NextPatch.Core;
using NextPatch.Torch.Perception;

namespace NextPatch.Evaluation.Networks;

/// <summary>
/// Weights of a convolution into which the batch norm behind it is multiplied: the same function with one pass over the activations less.
/// </summary>
/// <param name="Weight">[outputs, inputs, kernel height, kernel width] in C order.</param>
/// <param name="Bias">[outputs].</param>
/// <param name="Inputs">Input channels.</param>
/// <param name="Kernel">Height and width of the kernel.</param>
internal sealed record FoldedConvolution(float[] Weight, float[] Bias, int Inputs, (int Height, int Width) Kernel)
{
    /// <summary>Reads a convolution without bias and its batch norm; folded in float64 and rounded once.</summary>
    /// <param name="weights">The file.</param>
    /// <param name="convolution">Key of the convolution.</param>
    /// <param name="norm">Key of the batch norm.</param>
    /// <param name="inputs">Input channels.</param>
    /// <param name="outputs">Output channels.</param>
    /// <param name="kernel">Height and width of the kernel.</param>
    /// <param name="epsilon">The batch norm's.</param>
    /// <exception cref="DataFormatException">The file does not hold such a layer.</exception>
    public static FoldedConvolution Read(
        PretrainedWeights weights, string convolution, string norm, int inputs, int outputs, (int Height, int Width) kernel, double epsilon)
    {
        var weight = weights.Take($"{convolution}.weight", outputs, inputs, kernel.Height, kernel.Width);
        float[] Vector(string name) => weights.Take($"{norm}.{name}", outputs);
        var (scale, bias, mean, variance) = (Vector("weight"), Vector("bias"), Vector("running_mean"), Vector("running_var"));
        var size = weight.Length / outputs;
        for (var o = 0; o < outputs; o++)
        {
            if (variance[o] < 0)
            {
                throw weights.Mismatch($"'{norm}.running_var' holds {variance[o]}, and a variance is at least 0");
            }

            var factor = scale[o] / Math.Sqrt(variance[o] + epsilon);
            bias[o] = (float)(bias[o] - (mean[o] * factor));
            foreach (ref var w in weight.AsSpan(o * size, size))
            {
                w = (float)(w * factor);
            }
        }

        return new FoldedConvolution(weight, bias, inputs, kernel);
    }

    /// <summary>One convolution that gives the outputs of several of one kernel, side by side.</summary>
    public static FoldedConvolution Join(IReadOnlyList<FoldedConvolution> parts)
        => parts[0] with { Weight = [.. parts.SelectMany(p => p.Weight)], Bias = [.. parts.SelectMany(p => p.Bias)] };

    public FrozenConvolution Freeze(int stride = 1, (int Height, int Width) padding = default)
        => new(Weight, Bias, Inputs, Kernel, stride, padding);
}
