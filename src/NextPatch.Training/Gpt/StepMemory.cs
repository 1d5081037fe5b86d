using System.Globalization;
using NextPatch.Core;
using NextPatch.Core.Configuration;
using NextPatch.Core.Patches;
using NextPatch.Torch.Gpt.Fused;
using NextPatch.Torch.Gpt.Reference;

namespace NextPatch.Training.Gpt;

/// <summary>
/// Memory of training steps, without libtorch itself (about 0.4 GiB on a processor), the data, and what validation and sampling need for a moment.
/// </summary>
/// <remarks>Per parameter: weight, gradient, two moments of AdamW and the EMA, 4 bytes each; the rest is what a pass keeps.</remarks>
/// <param name="model">The transformer.</param>
/// <param name="training">Micro-batch, precision, implementation.</param>
/// <param name="isDevice">Whether it is another device than the processor.</param>
internal sealed class StepMemory(GptConfig model, TrainingConfig training, bool isDevice)
{
    /// <summary>Memory of a device that is never ours: its driver's, libtorch's kernels, what lies between blocks.</summary>
    private const double UsableShare = 0.9;

    /// <summary>Bytes of weights, gradients, moments and EMA.</summary>
    public long Parameters => model.ParameterCount * sizeof(float) * (4 + (training.EmaDecay > 0 ? 1 : 0));

    /// <summary>Bytes of activations and logits, in the stage that needs most.</summary>
    /// <param name="recompute">Activation checkpointing.</param>
    public long Activations(bool recompute) => Activations(recompute, training);

    /// <summary>The largest micro-batch of patch side 1 whose steps fit; 0 where none does.</summary>
    /// <param name="bytes">Memory of the device.</param>
    /// <param name="recompute">Activation checkpointing.</param>
    public int LargestMicroBatch(long bytes, bool recompute)
    {
        bool Fits(int images)
            => Parameters + Activations(recompute, training with { MicroBatch = images, MicroBatchBySide = null }) <= UsableShare * bytes;
        var (fitting, tooMany) = (0, training.BatchSize + 1);
        while (tooMany - fitting > 1)
        {
            var middle = (fitting + tooMany) / 2;
            (fitting, tooMany) = Fits(middle) ? (middle, tooMany) : (fitting, middle);
        }

        return fitting;
    }

    /// <summary>Whether an exception of libtorch says that memory is used up.</summary>
    public static bool IsExhausted(Exception e)
        => e is OutOfMemoryException || e.Message.Contains("out of memory", StringComparison.OrdinalIgnoreCase)
            || e.Message.Contains("can't allocate memory", StringComparison.Ordinal);

    /// <summary>What to do when memory is used up.</summary>
    /// <param name="device">Its name.</param>
    /// <param name="bytes">Its memory; null where that is not known.</param>
    /// <param name="recompute">Whether activations are computed again already.</param>
    /// <param name="cause">What libtorch says.</param>
    public NextPatchException Exhausted(string device, long? bytes, bool recompute, Exception cause)
    {
        var needed = Parameters + Activations(recompute);
        var micro = training.MicroBatchFor(1);
        var text = new List<string>
        {
            $"The memory of {device} is used up: steps with micro-batches of {micro} images need about {Size(needed)}"
            + $"{(bytes is { } all ? $", and it has {Size(all)}" : "")}.",
        };
        if (bytes is { } total)
        {
            var (plain, again) = (LargestMicroBatch(total, recompute), LargestMicroBatch(total, recompute: true));
            text.Add((plain, again) switch
            {
                _ when plain >= micro => $"Others use it too, or the reckoning is off: try a MicroBatch of {Math.Max(1, micro / 2)}.",
                ( > 0, _) when recompute || again <= plain => $"A MicroBatch of {plain} fits.",
                ( > 0, _) => $"A MicroBatch of {plain} fits, or one of {again} with Recompute.",
                (_, > 0) => $"Only with Recompute does it fit, and then a MicroBatch of {again}.",
                _ => "Not even one image fits; take a smaller preset.",
            });
        }
        else
        {
            text.Add($"Try a MicroBatch of {Math.Max(1, micro / 2)}{(recompute ? "" : ", or Recompute")}.");
        }

        return new NextPatchException(string.Join(' ', text), cause) { Settings = ["MicroBatch", "Recompute"] };
    }

    private static string Size(long bytes) => string.Create(CultureInfo.InvariantCulture, $"{bytes / (double)(1L << 30):0.#} GiB");

    private long Activations(bool recompute, TrainingConfig settings) => settings.Sides.Max(side =>
    {
        var tokens = new PatchGeometry(model.GridSide, side).PatchCount + model.ConditionTokens - 1;
        var rows = (long)settings.MicroBatchFor(side) * tokens;
        return settings.StepImplementation == StepImplementation.Fused
            ? FusedGpt.BytesFor(model, settings.Precision, rows, recompute)
            : ReferenceGpt.BytesFor(model, settings.Precision, rows, tokens, recompute, isDevice);
    });
}
