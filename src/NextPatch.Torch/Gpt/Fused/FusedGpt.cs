using System.Runtime.Intrinsics;
using NextPatch.Core;
using NextPatch.Core.Configuration;
using NextPatch.Core.Patches;
using NextPatch.Kernels.Simd;
using static TorchSharp.torch;

namespace NextPatch.Torch.Gpt.Fused;

/// <summary>
/// Forward and backward pass of a <see cref="GptModel"/> on the CPU, written out: matrix products are libtorch's, or ours where those are slow; everything
/// between them is one managed pass over memory, and memory is kept from step to step. The model itself, with automatic gradients, is its plain twin.
/// </summary>
/// <remarks>
/// In bf16, weights (copies of the parameters), activations and their gradients are bf16 in the products; the residual stream, norms, softmax, scores, loss and
/// the gradients of the parameters are float. Dropout comes from the seed given, not from libtorch's generator.
/// </remarks>
public sealed class FusedGpt : IDisposable
{
    private readonly IFusedGptModel _pass;

    /// <param name="model">On the CPU in float32; stays the caller's.</param>
    /// <param name="precision">Type of products and activations: fp32 or bf16.</param>
    /// <param name="recompute">Activation checkpointing: keep only each block's input and compute the rest again, a third more products for a fraction of the memory.</param>
    /// <exception cref="ConfigException">Another precision.</exception>
    public FusedGpt(GptModel model, ComputePrecision precision = ComputePrecision.Fp32, bool recompute = false) => _pass = precision switch
    {
        ComputePrecision.Fp32 => Create<Fp32>(model, recompute),
        ComputePrecision.Bf16 => Create<Bf16>(model, recompute),
        _ => throw new ConfigException($"The processor computes in fp32 or bf16, not in {precision}."),
    };

    /// <summary>bf16 copies of parameters by state key, which the optimiser must renew; none in fp32. Owned by this object.</summary>
    public IReadOnlyDictionary<string, Tensor> Copies => _pass.Copies.ToDictionary(c => c.Name, c => c.Copy);

    /// <summary>Seconds by part since the start or the last <see cref="ResetSeconds"/>.</summary>
    public IReadOnlyDictionary<StepPart, double> Seconds => _pass.Clock.Seconds;

    public void ResetSeconds() => _pass.Clock.Reset();

    /// <summary>Makes <see cref="Copies"/> anew: call it when parameters changed other than by the optimiser.</summary>
    public void RefreshCopies() => _pass.Refresh();

    /// <summary>Bytes that a pass keeps beside the parameters and their gradients: activations, one chunk of logits, bf16 copies of weights and room for a gradient of theirs.</summary>
    /// <param name="config">The model.</param>
    /// <param name="precision">Type of products and activations.</param>
    /// <param name="rows">Images times tokens of the largest micro-batch.</param>
    /// <param name="recompute">Activation checkpointing.</param>
    public static long BytesFor(GptConfig config, ComputePrecision precision, long rows, bool recompute)
        => precision == ComputePrecision.Bf16 ? FusedGptModel<Bf16, Simd1>.BytesFor(config, rows, recompute) : FusedGptModel<Fp32, Simd1>.BytesFor(config, rows, recompute);

    /// <summary>Embedding, blocks, output head and patch loss; the gradients of the head are formed here.</summary>
    /// <param name="labels">Classes or null class, [B].</param>
    /// <param name="codes">Codes in row-major order, [B, T]; must not change before <see cref="Backward"/> has run.</param>
    /// <param name="geometry">How codes become patches.</param>
    /// <param name="seed">Decides all dropout.</param>
    /// <param name="scale">Weight of this micro-batch in the step, images here / images of the step.</param>
    /// <returns>Mean patch loss in nats, not scaled.</returns>
    public double Forward(ReadOnlyMemory<long> labels, ReadOnlyMemory<long> codes, PatchGeometry geometry, ulong seed = 0, double scale = 1)
        => _pass.Forward(labels, codes, geometry, seed, scale);

    /// <summary>Adds the gradients of the last <see cref="Forward"/> to those of the parameters.</summary>
    public void Backward() => _pass.Backward();

    /// <summary>The mean patch loss in nats without dropout and gradients. No <see cref="Backward"/> may follow.</summary>
    /// <param name="labels">Classes or null class, [B].</param>
    /// <param name="codes">Codes in row-major order, [B, T].</param>
    /// <param name="geometry">How codes become patches.</param>
    public double Evaluate(ReadOnlyMemory<long> labels, ReadOnlyMemory<long> codes, PatchGeometry geometry) => _pass.Evaluate(labels, codes, geometry);

    public void Dispose() => _pass.Dispose();

    private static IFusedGptModel Create<T>(GptModel model, bool recompute)
        where T : unmanaged, IElement<T>
        => Vector512.IsHardwareAccelerated ? new FusedGptModel<T, Simd16>(model, recompute)
            : Vector256.IsHardwareAccelerated ? new FusedGptModel<T, Simd8>(model, recompute)
            : new FusedGptModel<T, Simd1>(model, recompute);
}
