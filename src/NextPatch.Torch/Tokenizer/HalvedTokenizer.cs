using TorchSharp;
using TorchSharp.Modules;
using static TorchSharp.torch;

namespace NextPatch.Torch.Tokenizer;

// Shape letters used in this file: B batch, S pixels per side, W code width, h and w of the grid.

/// <summary>
/// Encoder and decoder of a tokenizer in bfloat16 for training, beside its float32 weights, which stay the ones that are trained.
/// Codebook, quantisation and losses stay in float32.
/// </summary>
/// <remarks>As under autocast, gradients of convolutions are rounded to bfloat16 before they meet the float32 weights.</remarks>
public sealed class HalvedTokenizer : IDisposable
{
    private const string CodebookPrefix = "quantize.";

    private readonly VqTokenizer _master;
    private readonly VqTokenizer _copy;
    private readonly (string Name, Parameter Master, Parameter Copy)[] _pairs;

    /// <param name="master">Stays the caller's.</param>
    public HalvedTokenizer(VqTokenizer master)
    {
        _master = master;
        _copy = new VqTokenizer(master.Config, seed: 0);
        _copy.to(ScalarType.BFloat16);
        var copies = _copy.named_parameters().ToDictionary(p => p.name, p => p.parameter);
        _pairs = [.. master.named_parameters().Where(p => !p.name.StartsWith(CodebookPrefix, StringComparison.Ordinal)).Select(p => (p.name, p.parameter, copies[p.name]))];
        Refresh();
    }

    /// <summary>The copies by parameter name, for an optimiser that writes both.</summary>
    public IReadOnlyDictionary<string, Tensor> Copies => _pairs.ToDictionary(p => p.Name, p => (Tensor)p.Copy);

    /// <inheritdoc cref="VqTokenizer.LastLayer"/>
    public Parameter LastLayer => _copy.LastLayer;

    /// <inheritdoc cref="VqTokenizer.Reconstruct(Tensor, LatentPerturbation?, long)"/>
    public TokenizerOutput Reconstruct(Tensor images, LatentPerturbation? perturbation, long step) => _master.Reconstruct(images, perturbation, step, Encode, Decode);

    /// <inheritdoc cref="VqTokenizer.ReconstructContinuously(Tensor)"/>
    public Tensor ReconstructContinuously(Tensor images) => _master.ReconstructContinuously(images, Encode, Decode);

    /// <summary>Moves the gradients of a backward pass to the float32 weights.</summary>
    public void CollectGradients()
    {
        foreach (var (_, master, copy) in _pairs)
        {
            using var gradient = copy.grad;
            if (gradient is not null)
            {
                using var widened = gradient.to(ScalarType.Float32);
                master.grad = widened;
                copy.grad = null;
            }
        }
    }

    /// <summary>Rounds the float32 weights anew: after loading.</summary>
    public void Refresh()
    {
        using var noGradient = no_grad();
        foreach (var (_, master, copy) in _pairs)
        {
            copy.copy_(master);
        }
    }

    public void Dispose() => _copy.Dispose();

    /// <returns>Latents, float32 [B, W, h, w].</returns>
    private Tensor Encode(Tensor images)
    {
        using var scope = NewDisposeScope();
        return _copy.Latents(images.to(ScalarType.BFloat16)).to(ScalarType.Float32).MoveToOuterDisposeScope();
    }

    /// <returns>Images, float32 [B, 3, S, S].</returns>
    private Tensor Decode(Tensor vectors)
    {
        using var scope = NewDisposeScope();
        return _copy.Render(vectors.to(ScalarType.BFloat16)).to(ScalarType.Float32).MoveToOuterDisposeScope();
    }
}
