using NextPatch.Core.Configuration;
using NextPatch.Core.Patches;
using NextPatch.Torch.Gpt.Fused;

namespace NextPatch.Cli.Planning;

/// <summary>
/// Memory of training steps, without libtorch itself (about 0.4 GiB), the data, and what validation and sampling need for a moment.
/// </summary>
/// <remarks>Per parameter: weight, gradient, two moments of AdamW and the EMA, 4 bytes each; the rest is what <see cref="FusedGpt"/> keeps from step
/// to step.</remarks>
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

    public static MemoryEstimate Create(GptConfig model, TrainingConfig training)
    {
        var weights = 4.0 * model.ParameterCount;
        var rows = training.Sides.Max(
            side => (long)training.MicroBatchFor(side) * (new PatchGeometry(model.GridSide, side).PatchCount + model.ConditionTokens - 1));
        return new MemoryEstimate(
            weights, weights, 2 * weights, training.EmaDecay > 0 ? weights : 0,
            FusedGpt.BytesFor(model, training.Precision, rows, recompute: false),
                FusedGpt.BytesFor(model, training.Precision, rows, recompute: true));
    }
}
