using NextPatch.Core.Configuration;
using NextPatch.Core.Patches;

namespace NextPatch.Cli.Planning;

/// <summary>Peak memory of training in fp32, without libtorch itself (about 0.4 GiB) and the data.</summary>
/// <remarks>
/// Per parameter: weight, gradient, two moments of AdamW and the average, 4 bytes each. Activations are what the backward pass needs,
/// per token and block, in floats: the two norms keep their input, their normed input and their output (6 C); attention keeps the
/// projection Q, rotated queries and keys, its result and a copy of it (Q + (H + K) D + 2 H D); SwiGLU keeps gate, up, SiLU and
/// product (4 F). With attention dropout libtorch keeps three matrices of scores per head (3 H N). The head adds one chunk of logits,
/// in three copies at most.
/// </remarks>
/// <param name="Weights">Bytes of the weights.</param>
/// <param name="Gradients">Bytes of the gradients.</param>
/// <param name="Moments">Bytes of the optimiser's moments.</param>
/// <param name="Average">Bytes of the weight average; 0 without one.</param>
/// <param name="Activations">Bytes kept for the backward pass of one micro-batch, in the stage that needs most.</param>
internal sealed record MemoryEstimate(double Weights, double Gradients, double Moments, double Average, double Activations)
{
    private const double LogitsPerChunk = 1 << 22; // as in PatchLoss

    public double Total => Weights + Gradients + Moments + Average + Activations;

    public static MemoryEstimate Of(GptConfig model, TrainingConfig training)
    {
        var weights = 4.0 * model.ParameterCount;
        return new MemoryEstimate(
            weights, weights, 2 * weights, training.EmaDecay > 0 ? weights : 0, training.Sides.Max(side => ActivationBytes(model, training.MicroBatchFor(side), side)));
    }

    private static double ActivationBytes(GptConfig model, int images, int patchSide)
    {
        double tokens = new PatchGeometry(model.GridSide, patchSide).PatchCount;
        double perToken = (6.0 * model.Width) + model.QkvWidth + ((model.HeadCount + model.KvHeads) * model.HeadWidth)
            + (2.0 * model.HeadCount * model.HeadWidth) + (4.0 * model.FfnWidth)
            + (model.AttentionDropout > 0 ? 3.0 * model.HeadCount * tokens : 0);
        var logits = 3 * Math.Min(images * tokens * model.VocabularySize, LogitsPerChunk);
        return 4 * ((images * tokens * perToken * model.LayerCount) + ((double)images * model.CodesPerImage * model.Width) + logits);
    }
}
