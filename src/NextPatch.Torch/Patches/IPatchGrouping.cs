using NextPatch.Core.Patches;
using static TorchSharp.torch;

namespace NextPatch.Torch.Patches;

// Shape letters: B batch, T codes, C width, n patches per side, p patch side, N = n n patches, P = p p.

/// <summary>
/// How codes become the tokens of a training stage: the policy that Next Patch Prediction fixes to the mean of p x p blocks. A new one is a class
/// with <see cref="Group"/> and a name in <see cref="PatchGroupings"/>; <c>docs/guide/your-own-idea.md</c> writes one.
/// </summary>
public interface IPatchGrouping
{
    /// <summary>The division of the grid; its <see cref="PatchGeometry.PatchesPerSide"/> is the grid of the rotary positions.</summary>
    PatchGeometry Geometry { get; }

    /// <summary>Merges code embeddings into patch tokens, by operations that libtorch can differentiate. Not asked at patch side 1.</summary>
    /// <param name="embeddings">float [B, T, C], row-major codes.</param>
    /// <returns>float [B, N, C], in the caller's dispose scope.</returns>
    Tensor Group(Tensor embeddings);

    /// <summary>Lays values of codes out by patch.</summary>
    /// <param name="values">Any type, [B, T, ...], row-major codes.</param>
    /// <param name="geometry">The division of the grid.</param>
    /// <returns>[B, N, P, ...], codes of a patch row by row, in the caller's dispose scope.</returns>
    static Tensor ByPatch(Tensor values, PatchGeometry geometry)
    {
        using var scope = NewDisposeScope();
        int n = geometry.PatchesPerSide, p = geometry.PatchSide;
        return values.reshape([values.size(0), n, p, n, p, .. values.shape[2..]])        // [B, n, p, n, p, ...]
            .transpose(2, 3)                                                             // [B, n, n, p, p, ...]
            .reshape([values.size(0), n * n, p * p, .. values.shape[2..]])               // [B, N, P, ...]
            .MoveToOuterDisposeScope();
    }
}
