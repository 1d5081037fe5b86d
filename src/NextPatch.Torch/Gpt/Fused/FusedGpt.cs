using System.Runtime.Intrinsics;
using NextPatch.Core;
using NextPatch.Core.Configuration;
using NextPatch.Core.Patches;
using NextPatch.Kernels.Simd;
using NextPatch.Torch.Patches;
using static TorchSharp.torch;

namespace NextPatch.Torch.Gpt.Fused;

/// <summary>
/// Forward and backward pass of a <see cref="GptModel"/> on the CPU, written out: matrix products are libtorch's, or ours where those are slow;
/// everything between them is one managed pass over memory, and memory is kept from step to step. <c>ReferenceGpt</c> computes the same by automatic
/// gradients.
/// </summary>
/// <remarks>
/// In bf16, weights (copies of the parameters), activations and their gradients are bf16 in the products; the residual stream, norms, softmax,
/// scores, loss and the gradients of the parameters are float.
/// </remarks>
internal sealed class FusedGpt : IGptPass
{
    private readonly IFusedGptModel _pass;
    private double _loss;

    /// <param name="model">On the CPU in float32; stays the caller's.</param>
    /// <param name="precision">Type of products and activations: fp32 or bf16.</param>
    /// <param name="recompute">Activation checkpointing: keep only each block's input and compute the rest again, a third more products for a
    /// fraction of the memory.</param>
    /// <param name="grouping">Name of a linear grouping in <see cref="PatchGroupings"/>.</param>
    /// <param name="targetPower">See <see cref="PatchTargetWeights"/>.</param>
    /// <param name="position">Where rotary positions place a patch.</param>
    /// <param name="isPlain">Each row of a caption is a key of its own in attention: the same, slower.</param>
    /// <exception cref="ConfigException">Another precision, or a grouping that is unknown or not linear.</exception>
    public FusedGpt(
        GptModel model, ComputePrecision precision = ComputePrecision.Fp32, bool recompute = false, string grouping = PatchGroupings.Mean,
        double targetPower = 0, PatchPosition position = PatchPosition.Grid, bool isPlain = false) => _pass = precision switch
        {
            _ when !PatchGroupings.IsLinear(grouping) => throw new ConfigException(
                $"The fused step computes groupings that are sums of embeddings with fixed factors; '{grouping}' is none, and needs the "
                + "reference step."),
            ComputePrecision.Fp32 => Create<Fp32>(model, recompute, new PatchObjective(grouping, targetPower, position), isPlain),
            ComputePrecision.Bf16 => Create<Bf16>(model, recompute, new PatchObjective(grouping, targetPower, position), isPlain),
            _ => throw new ConfigException($"The processor computes in fp32 or bf16, not in {precision}."),
        };

    /// <summary>bf16 copies of parameters by state key, which the optimiser must renew; none in fp32. Owned by this object.</summary>
    public IReadOnlyDictionary<string, Tensor> Copies => _pass.Copies.ToDictionary(c => c.Name, c => c.Copy);

    /// <summary>Seconds by part since the start or the last <see cref="ResetSeconds"/>.</summary>
    public IReadOnlyDictionary<StepPart, double> Seconds => _pass.Clock.Seconds;

    public void ResetSeconds() => _pass.Clock.Reset();

    /// <inheritdoc/>
    public void RefreshCopies() => _pass.Refresh();

    /// <summary>
    /// Bytes that a pass keeps beside the parameters and their gradients: activations, one chunk of logits, bf16 copies of weights and room for a
    /// gradient of theirs.
    /// </summary>
    /// <param name="config">The model.</param>
    /// <param name="precision">Type of products and activations.</param>
    /// <param name="rows">Images times tokens of the largest micro-batch, condition rows included.</param>
    /// <param name="recompute">Activation checkpointing.</param>
    public static long BytesFor(GptConfig config, ComputePrecision precision, long rows, bool recompute)
        => precision == ComputePrecision.Bf16
            ? FusedGptModel<Bf16, Simd1>.BytesFor(config, rows, recompute)
            : FusedGptModel<Fp32, Simd1>.BytesFor(config, rows, recompute);

    /// <inheritdoc/>
    public void Forward(
        ReadOnlyMemory<long> labels, ReadOnlyMemory<long> codes, PatchGeometry geometry, ulong seed = 0, double scale = 1,
        CaptionBatch? captions = null, int firstImage = 0)
        => _loss += scale * _pass.Forward(labels, codes, geometry, seed, scale, captions, firstImage);

    /// <inheritdoc/>
    public void Backward(Action<string>? isDone = null) => _pass.Backward(isDone);

    /// <inheritdoc/>
    public double TakeLoss()
    {
        var loss = _loss;
        _loss = 0;
        return loss;
    }

    /// <inheritdoc/>
    public double Evaluate(ReadOnlyMemory<long> labels, ReadOnlyMemory<long> codes, PatchGeometry geometry, CaptionBatch? captions = null)
        => _pass.Evaluate(labels, codes, geometry, captions);

    /// <inheritdoc/>
    public void Dispose() => _pass.Dispose();

    private static IFusedGptModel Create<T>(GptModel model, bool recompute, PatchObjective objective, bool isPlain)
        where T : unmanaged, IElement<T>
        => Vector512.IsHardwareAccelerated ? new FusedGptModel<T, Simd16>(model, recompute, objective, isPlain)
            : Vector256.IsHardwareAccelerated ? new FusedGptModel<T, Simd8>(model, recompute, objective, isPlain)
            : new FusedGptModel<T, Simd1>(model, recompute, objective, isPlain);
}
