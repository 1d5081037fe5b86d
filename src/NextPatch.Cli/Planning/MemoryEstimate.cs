using NextPatch.Core.Configuration;
using NextPatch.Training.Gpt;

namespace NextPatch.Cli.Planning;

/// <summary>
/// Memory of training steps, without libtorch itself (about 0.4 GiB), the data, and what validation and sampling need for a moment.
/// </summary>
/// <remarks>Per parameter: weight, gradient, two moments of AdamW and the EMA, 4 bytes each; the rest is what the pass keeps
/// (<see cref="StepMemory"/>).</remarks>
/// <param name="Weights">Bytes of the weights.</param>
/// <param name="Gradients">Bytes of the gradients.</param>
/// <param name="Moments">Bytes of the optimiser's moments.</param>
/// <param name="Average">Bytes of the EMA; 0 without one.</param>
/// <param name="Activations">Bytes of activations and logits, in the stage that needs most.</param>
/// <param name="RecomputedActivations">The same with <c>--recompute</c>.</param>
internal sealed record MemoryEstimate(
    double Weights, double Gradients, double Moments, double Average, double Activations, double RecomputedActivations)
{
    /// <summary>Without <c>--recompute</c>.</summary>
    public double Total => Weights + Gradients + Moments + Average + Activations;

    /// <summary>With it.</summary>
    public double Recomputed => Total - Activations + RecomputedActivations;

    /// <param name="model">The transformer.</param>
    /// <param name="training">Micro-batch, precision, implementation of the step.</param>
    /// <param name="isDevice">Whether it runs on another device than the processor.</param>
    public static MemoryEstimate Create(GptConfig model, TrainingConfig training, bool isDevice = false)
    {
        var weights = 4.0 * model.ParameterCount;
        var step = new StepMemory(model, training, isDevice);
        return new MemoryEstimate(
            weights, weights, 2 * weights, training.EmaDecay > 0 ? weights : 0, step.Activations(recompute: false),
            step.Activations(recompute: true));
    }
}
