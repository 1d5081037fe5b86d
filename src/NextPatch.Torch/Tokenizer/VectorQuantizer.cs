using TorchSharp.Modules;
using TorchSharp.Utils;
using static TorchSharp.torch;
using static TorchSharp.torch.nn;

namespace NextPatch.Torch.Tokenizer;

// Shape letters used in this file: B batch, W code width, g grid side, T codes per image (g * g), R rows (B * T), K codes.

/// <summary>
/// Nearest code on the unit sphere: latents and codebook are l2-normalised before they are compared, and losses are means over
/// the elements of the normalised vectors (Yu et al., "Vector-quantized Image Modeling with Improved VQGAN", section 3.2).
/// </summary>
internal sealed class VectorQuantizer : Module<Tensor, QuantizerOutput>
{
    [ComponentName(Name = "embedding")] private readonly Embedding _codebook;

    public VectorQuantizer(int codebookSize, int codeWidth)
        : base(nameof(VectorQuantizer))
    {
        CodebookSize = codebookSize;
        CodeWidth = codeWidth;
        _codebook = Embedding(codebookSize, codeWidth);
        RegisterComponents();
        using var noGradient = no_grad();
        using var unit = functional.normalize(_codebook.weight!, dim: 1);
        _codebook.weight!.copy_(unit);
    }

    public int CodebookSize { get; }

    public int CodeWidth { get; }

    /// <param name="latents">float [B, W, g, g], not normalised.</param>
    public override QuantizerOutput forward(Tensor latents)
    {
        using var scope = NewDisposeScope();
        var unit = Normalize(latents);                                   // [B, W, g, g]
        var rows = unit.permute(0, 2, 3, 1).reshape(-1, CodeWidth);      // [R, W]
        var codebook = functional.normalize(_codebook.weight!, dim: 1);  // [K, W]
        var codes = Nearest(rows, codebook);                             // [R]
        var chosen = ToGrid(codebook.index_select(0, codes), latents.size(0), latents.size(2)); // [B, W, g, g]

        var codebookLoss = (chosen - unit.detach()).square().mean();
        var commitmentLoss = (chosen.detach() - unit).square().mean();
        var straightThrough = unit + (chosen - unit).detach();           // value of the code, gradient of the latent
        return new QuantizerOutput(
            straightThrough.MoveToOuterDisposeScope(),
            codes.view(latents.size(0), -1).MoveToOuterDisposeScope(),   // [B, T]
            codebookLoss.MoveToOuterDisposeScope(),
            commitmentLoss.MoveToOuterDisposeScope());
    }

    /// <summary>Codes of latents, int64 [B, T].</summary>
    public Tensor Encode(Tensor latents)
    {
        using var scope = NewDisposeScope();
        var rows = Normalize(latents).permute(0, 2, 3, 1).reshape(-1, CodeWidth); // [R, W]
        return Nearest(rows, functional.normalize(_codebook.weight!, dim: 1)).view(latents.size(0), -1).MoveToOuterDisposeScope();
    }

    /// <summary>Unit vectors of codes.</summary>
    /// <param name="codes">int64 [B, T], row-major over the grid.</param>
    /// <param name="gridSide">g.</param>
    /// <returns>float [B, W, g, g].</returns>
    public Tensor Lookup(Tensor codes, long gridSide)
    {
        using var scope = NewDisposeScope();
        var chosen = functional.normalize(_codebook.weight!, dim: 1).index_select(0, codes.reshape(-1)); // [R, W]
        return ToGrid(chosen, codes.size(0), gridSide).MoveToOuterDisposeScope();
    }

    /// <summary>Latents on the unit sphere, as the decoder sees them without quantisation.</summary>
    public static Tensor Normalize(Tensor latents) => functional.normalize(latents, dim: 1);

    /// <summary>Overwrites some code vectors. Call it after an optimiser step, never between forward and backward.</summary>
    /// <param name="codes">int64 [n].</param>
    /// <param name="vectors">float [n, W].</param>
    public void Replace(Tensor codes, Tensor vectors)
    {
        using var noGradient = no_grad();
        using var unit = functional.normalize(vectors, dim: 1);
        _codebook.weight!.index_copy_(0, codes, unit);
    }

    // Between unit vectors the nearest is the one with the largest inner product.
    private static Tensor Nearest(Tensor rows, Tensor codebook)
    {
        using var noGradient = no_grad();
        using var products = functional.linear(rows, codebook); // [R, K]
        return products.argmax(1);                              // [R]
    }

    private Tensor ToGrid(Tensor rows, long batch, long gridSide)
    {
        using var grid = rows.view(batch, gridSide, gridSide, CodeWidth); // [B, g, g, W]
        return grid.permute(0, 3, 1, 2);                                  // [B, W, g, g]
    }
}
