using NextPatch.Core.Configuration;
using TorchSharp.Modules;
using TorchSharp.Utils;
using static TorchSharp.torch;
using static TorchSharp.torch.nn;

namespace NextPatch.Torch.Tokenizer;

// Shape letters used in this file: B batch, W code width, h and w of the grid, T codes per image (h * w), R rows (B * T), K codes.

/// <summary>
/// The nearest code of each latent. On the unit sphere (Yu et al., "Vector-quantized Image Modeling with Improved VQGAN", section
/// 3.2) latents and codebook are l2-normalised before they are compared; losses are means over the elements of what is compared.
/// </summary>
internal sealed class VectorQuantizer : Module<Tensor, QuantizerOutput>
{
    /// <summary>How many codes the published usage figure looks back.</summary>
    private const int RecentCodes = 65536;

    private const double EntropyTemperature = 0.01;
    private const double EntropyEpsilon = 1e-5;

    private readonly TokenizerConfig _config;
    [ComponentName(Name = "embedding")] private readonly Embedding _codebook;
    [ComponentName(Name = "codebook_used")] private readonly Tensor? _recent;

    public VectorQuantizer(TokenizerConfig config)
        : base(nameof(VectorQuantizer))
    {
        _config = config;
        _codebook = Embedding(config.CodebookSize, config.CodeWidth);
        _recent = config.Architecture == TokenizerArchitecture.Vqgan ? zeros(RecentCodes) : null;
        RegisterComponents();
        using var noGradient = no_grad();
        if (config.Architecture == TokenizerArchitecture.Vqgan)
        {
            init.uniform_(_codebook.weight!, -1.0 / config.CodebookSize, 1.0 / config.CodebookSize);
        }

        if (config.NormalizeCodes)
        {
            using var unit = functional.normalize(_codebook.weight!, dim: 1);
            _codebook.weight!.copy_(unit);
        }
    }

    /// <summary>
    /// Share of the codebook among the latest 65,536 codes of training; the zeros that the record starts with count as code 0, as published.
    /// </summary>
    public double RecentUsage
    {
        get
        {
            using var scope = NewDisposeScope();
            return _recent is null ? 0 : (double)_recent.unique().output.numel() / _config.CodebookSize;
        }
    }

    /// <summary>Where the codebook lies.</summary>
    public Device Device
    {
        get
        {
            using var scope = NewDisposeScope(); // TorchSharp makes a new handle for whoever asks for the weight
            return _codebook.weight!.device;
        }
    }

    /// <param name="latents">float [B, W, h, w], not normalised.</param>
    public override QuantizerOutput forward(Tensor latents) => Quantize(latents, perturbation: null, step: 0);

    /// <summary>As <see cref="forward"/>, but the vectors are those of perturbed codes; codes and losses know nothing of it.</summary>
    /// <param name="latents">float [B, W, h, w], not normalised.</param>
    /// <param name="perturbation">Null: none.</param>
    /// <param name="step">Counted from 0; with the place in the batch it decides what is perturbed.</param>
    public QuantizerOutput Quantize(Tensor latents, LatentPerturbation? perturbation, long step)
    {
        using var scope = NewDisposeScope();
        var compared = Compared(latents);                                              // [B, W, h, w]
        var rows = compared.permute(0, 2, 3, 1).reshape(-1, _config.CodeWidth);        // [R, W]
        var codebook = Codebook();                                                     // [K, W]
        var codes = Nearest(rows, codebook);                                           // [R]
        if (training)
        {
            Remember(codes);
        }

        var chosen = ToGrid(codebook.index_select(0, codes), latents.size(0), latents.size(2), latents.size(3)); // [B, W, h, w]
        var codebookLoss = (chosen - compared.detach()).square().mean();
        var commitmentLoss = (chosen.detach() - compared).square().mean();
        var entropyLoss = _config.EntropyWeight > 0 ? EntropyLoss(-Distances(rows, codebook)) : zeros(1, device: latents.device).squeeze();
        var seen = perturbation is null
            ? chosen
            // [B, W, h, w]
            : Lookup(Perturb(codes.view(latents.size(0), -1), rows, codebook, perturbation, step, firstImage: 0), latents.size(2), latents.size(3));
        var straightThrough = compared + (seen - compared).detach();                   // value of the code, gradient of the latent
        return new QuantizerOutput(
            straightThrough.MoveToOuterDisposeScope(),
            codes.view(latents.size(0), -1).MoveToOuterDisposeScope(),                 // [B, T]
            codebookLoss.MoveToOuterDisposeScope(),
            commitmentLoss.MoveToOuterDisposeScope(),
            entropyLoss.MoveToOuterDisposeScope());
    }

    /// <summary>Codes of latents, int64 [B, T].</summary>
    public Tensor Encode(Tensor latents)
    {
        using var scope = NewDisposeScope();
        var rows = Compared(latents).permute(0, 2, 3, 1).reshape(-1, _config.CodeWidth); // [R, W]
        return Nearest(rows, Codebook()).view(latents.size(0), -1).MoveToOuterDisposeScope();
    }

    /// <summary>Codes of latents after perturbation, int64 [B, T].</summary>
    /// <param name="latents">float [B, W, h, w], not normalised.</param>
    /// <param name="perturbation">What is perturbed; its step is 0.</param>
    /// <param name="firstImage">Index of the first image.</param>
    public Tensor EncodePerturbed(Tensor latents, LatentPerturbation perturbation, long firstImage)
    {
        using var scope = NewDisposeScope();
        var rows = Compared(latents).permute(0, 2, 3, 1).reshape(-1, _config.CodeWidth); // [R, W]
        var codebook = Codebook();                                                       // [K, W]
        return Perturb(Nearest(rows, codebook).view(latents.size(0), -1), rows, codebook, perturbation, step: 0, firstImage)
            .MoveToOuterDisposeScope();
    }

    /// <summary>Vectors of codes, as the decoder sees them.</summary>
    /// <param name="codes">int64 [B, T], row-major over the grid.</param>
    /// <param name="rows">h.</param>
    /// <param name="columns">w.</param>
    /// <returns>float [B, W, h, w].</returns>
    public Tensor Lookup(Tensor codes, long rows, long columns)
    {
        using var scope = NewDisposeScope();
        var chosen = Codebook().index_select(0, codes.reshape(-1)); // [R, W]
        return ToGrid(chosen, codes.size(0), rows, columns).MoveToOuterDisposeScope();
    }

    /// <summary>Latents as the decoder sees them without quantisation: on the unit sphere, unless codes are compared as they are.</summary>
    public Tensor Compared(Tensor latents) => _config.NormalizeCodes ? functional.normalize(latents, dim: 1) : latents.alias();

    /// <summary>Overwrites some code vectors. Call it after an optimiser step, never between forward and backward.</summary>
    /// <param name="codes">int64 [n].</param>
    /// <param name="vectors">float [n, W].</param>
    public void Replace(Tensor codes, Tensor vectors)
    {
        using var noGradient = no_grad();
        using var replacement = _config.NormalizeCodes ? functional.normalize(vectors, dim: 1) : vectors.alias();
        _codebook.weight!.index_copy_(0, codes, replacement);
    }

    /// <summary>
    /// Low where each latent is sure of its code and all codes are used: mean entropy of the choices minus entropy of the mean choice.
    /// </summary>
    /// <param name="affinity">Negative squared distances, float [R, K].</param>
    /// <returns>Scalar; negative for a well-used codebook.</returns>
    /// <remarks>Source: MaskGIT's and LlamaGen's compute_entropy_loss, temperature 0.01.</remarks>
    public static Tensor EntropyLoss(Tensor affinity)
    {
        using var scope = NewDisposeScope();
        var logits = affinity / EntropyTemperature;
        var choices = logits.softmax(-1);                                                  // [R, K]
        var ofEach = -(choices * (logits + EntropyEpsilon).log_softmax(-1)).sum(-1).mean();
        var mean = choices.mean([0]);                                                      // [K]
        var ofMean = -(mean * (mean + EntropyEpsilon).log()).sum();
        return (ofEach - ofMean).MoveToOuterDisposeScope();
    }

    private Tensor Codebook() => _config.NormalizeCodes ? functional.normalize(_codebook.weight!, dim: 1) : _codebook.weight!.alias();

    /// <summary>Squared distances [R, K].</summary>
    internal static Tensor Distances(Tensor rows, Tensor codebook)
        => rows.square().sum(1, keepdim: true) + codebook.square().sum(1) - (2 * functional.linear(rows, codebook));

    /// <returns>int64 [B, T].</returns>
    private static Tensor Perturb(Tensor codes, Tensor rows, Tensor codebook, LatentPerturbation perturbation, long step, long firstImage)
    {
        using var scope = NewDisposeScope();
        var length = codes.size(1);
        var images = new Tensor[codes.size(0)];
        for (var i = 0; i < images.Length; i++)
        {
            // One image at a time: its distances to all codes are the largest tensor here.
            images[i] = perturbation.Chooses(step, firstImage + i)
                ? perturbation.Replace(codes[i], rows.narrow(0, i * length, length), codebook, step, firstImage + i)
                : codes[i];
        }

        return stack(images).MoveToOuterDisposeScope();
    }

    private Tensor Nearest(Tensor rows, Tensor codebook)
    {
        using var scope = NewDisposeScope();
        using var noGradient = no_grad();

        // Between unit vectors the nearest is the one with the largest inner product.
        // [R]
        return (_config.NormalizeCodes ? functional.linear(rows, codebook).argmax(1) : Distances(rows, codebook).argmin(1)).MoveToOuterDisposeScope();
    }

    private void Remember(Tensor codes)
    {
        if (_recent is null)
        {
            return;
        }

        using var scope = NewDisposeScope();
        using var noGradient = no_grad();
        var latest = cat([_recent, codes.to(ScalarType.Float32)]);
        _recent.copy_(latest.narrow(0, latest.size(0) - RecentCodes, RecentCodes));
    }

    private Tensor ToGrid(Tensor vectors, long batch, long rows, long columns)
    {
        using var grid = vectors.view(batch, rows, columns, _config.CodeWidth); // [B, h, w, W]
        return grid.permute(0, 3, 1, 2);                                        // [B, W, h, w]
    }
}

/// <summary>What quantisation of a batch gives; every tensor belongs to the caller's dispose scope.</summary>
/// <param name="Vectors">float [B, W, h, w]: code vectors whose gradient goes straight to the latents.</param>
/// <param name="Codes">int64 [B, T].</param>
/// <param name="CodebookLoss">Scalar: mean squared distance of codes to (fixed) latents.</param>
/// <param name="CommitmentLoss">Scalar: mean squared distance of latents to (fixed) codes, not yet weighted.</param>
/// <param name="EntropyLoss">Scalar, not yet weighted; 0 where its weight is 0.</param>
internal readonly record struct QuantizerOutput(Tensor Vectors, Tensor Codes, Tensor CodebookLoss, Tensor CommitmentLoss, Tensor EntropyLoss);
