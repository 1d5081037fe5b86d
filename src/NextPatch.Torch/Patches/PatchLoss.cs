using TorchSharp.Modules;
using static TorchSharp.torch;
using static TorchSharp.torch.nn;

namespace NextPatch.Torch.Patches;

// Shape letters: B batch, N patches, C width, V vocabulary, P codes per patch, R = B N rows, r rows of a chunk.

/// <summary>
/// Output head and patch loss in one: the cross-entropy of one predicted distribution against the P codes of its patch,
/// logsumexp(z) - mean_i z[t_i], averaged over patches and batch (NPP, equation of the patch-level loss). With target weights w the mean
/// is weighted: logsumexp(z) - sum_i w_i z[t_i] / sum_i w_i.
/// </summary>
/// <remarks>
/// The published code repeats the logits P times and keeps them all. Here rows go through the head in chunks, each chunk's
/// gradient (softmax - the targets' shares) / R is formed in the logits' own memory, and only one chunk is alive. The gradient
/// of the head is added to its <c>grad</c> and that of the hidden states is returned, so the caller continues with
/// <c>hidden.backward([gradient])</c>.
/// </remarks>
public static class PatchLoss
{
    /// <summary>Logits alive at once: 4 Mi floats, 16 MiB, about what the caches of two cores hold.</summary>
    internal const long LogitsPerChunk = 1 << 22;

    /// <summary>The same on other devices, which want large products: 256 MiB.</summary>
    internal const long LogitsPerChunkOfDevices = 1 << 26;

    /// <summary>Mean loss in nats, without gradients.</summary>
    /// <param name="hidden">float [B, N, C].</param>
    /// <param name="head">float [V, C].</param>
    /// <param name="targets">int64 [B, N, P].</param>
    /// <param name="targetWeights">[P], divided by their sum here; null = all codes count the same, as published.</param>
    /// <returns>float scalar in the caller's dispose scope.</returns>
    public static Tensor Evaluate(Tensor hidden, Tensor head, Tensor targets, IReadOnlyList<float>? targetWeights = null)
    {
        using var noGrad = no_grad();
        return Run(hidden, head, targets, targetWeights, gradientScale: 0, hiddenGradient: null, headGradient: null);
    }

    /// <summary>Mean loss in nats, and its gradients times <paramref name="scale"/>.</summary>
    /// <param name="hidden">float or bfloat16 [B, N, C] with a graph behind it: the type of the products, whatever that of the head.</param>
    /// <param name="head">Parameter [V, C]; its gradient is added to.</param>
    /// <param name="targets">int64 [B, N, P].</param>
    /// <param name="scale">Weight of this micro-batch in the step, images here / images of the step.</param>
    /// <param name="targetWeights">[P], divided by their sum here; null = all codes count the same, as published.</param>
    /// <returns>The unscaled loss (scalar) and the gradient of <paramref name="hidden"/> ([B, N, C]), both in the caller's dispose scope.</returns>
    public static (Tensor Loss, Tensor HiddenGradient) Backward(
        Tensor hidden, Parameter head, Tensor targets, double scale = 1, IReadOnlyList<float>? targetWeights = null)
    {
        using var noGrad = no_grad();
        if (head.grad is null)
        {
            using var zero = zeros_like(head);
            head.grad = zero;
        }

        using var headGradient = head.grad;
        var gradient = empty_like(hidden);
        return (Run(hidden, head, targets, targetWeights, scale, gradient, headGradient), gradient);
    }

    private static Tensor Run(
        Tensor hidden, Tensor outputHead, Tensor targets, IReadOnlyList<float>? targetWeights, double gradientScale, Tensor? hiddenGradient,
        Tensor? headGradient)
    {
        using var scope = NewDisposeScope();
        var codesPerPatch = targets.size(2);
        var head = outputHead.dtype == hidden.dtype ? outputHead : outputHead.detach().to_type(hidden.dtype); // [V, C]
        var (chunkLogits, exact) = hidden.device.type switch
        {
            TorchSharp.DeviceType.CPU => (LogitsPerChunk, ScalarType.Float64),
            TorchSharp.DeviceType.MPS => (LogitsPerChunkOfDevices, ScalarType.Float32), // has no wider one
            _ => (LogitsPerChunkOfDevices, ScalarType.Float64),
        };
        var weights = targetWeights is null ? ones(codesPerPatch, device: hidden.device) : tensor(targetWeights.ToArray(), device: hidden.device);
        var shares = weights.div(weights.sum());                // [P]
        var rows = hidden.detach().reshape(-1, hidden.size(2)); // [R, C]
        var rowTargets = targets.reshape(-1, codesPerPatch);    // [R, P]
        var rowGradients = hiddenGradient?.view(-1, hidden.size(2));
        var rowCount = rows.size(0);
        var chunk = Math.Clamp(chunkLogits / head.size(0), 1, rowCount);
        var total = zeros(1, exact, hidden.device);
        for (var start = 0L; start < rowCount; start += chunk)
        {
            using var chunkScope = NewDisposeScope();
            var count = Math.Min(chunk, rowCount - start);
            var x = rows.narrow(0, start, count);                       // [r, C]
            var t = rowTargets.narrow(0, start, count);                 // [r, P]
            var logits = functional.linear(x, head).to_type(ScalarType.Float32); // [r, V]
            var normalizer = logits.logsumexp(1, keepdim: true);        // [r, 1]
            total.add_(normalizer.sum(exact).sub_(logits.gather(1, t).mul(shares).sum(exact)));
            if (rowGradients is not null)
            {
                var share = gradientScale / rowCount;
                logits.sub_(normalizer).exp_().mul_(share);             // softmax / R
                logits.scatter_add_(1, t, shares.mul(-share).expand_as(t));
                var d = logits.to_type(head.dtype);
                rowGradients.narrow(0, start, count).copy_(d.mm(head)); // [r, C]
                if (d.dtype == headGradient!.dtype)
                {
                    headGradient.addmm_(d.t(), x);                      // [V, C]
                }
                else
                {
                    headGradient.add_(d.t().mm(x));                     // summed over chunks in float32
                }
            }
        }

        return total.div_(rowCount).to_type(ScalarType.Float32).squeeze().MoveToOuterDisposeScope();
    }
}
