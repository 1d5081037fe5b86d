using NextPatch.Core.Patches;
using NextPatch.Kernels.Elementwise;
using static TorchSharp.torch;

namespace NextPatch.Torch.Patches;

// Shape letters: B batch, T codes, C width, N patches, P codes per patch.

/// <summary>A patch token is a sum of its code embeddings, each with the factor of its place. The fused step computes these, too.</summary>
public class LinearPatchGrouping : IPatchGrouping
{
    /// <param name="geometry">The division of the grid.</param>
    /// <param name="factors">One per code of a patch, row by row, [P].</param>
    /// <param name="scale">Factor of the sum.</param>
    /// <exception cref="ArgumentException">There are not P factors.</exception>
    public LinearPatchGrouping(PatchGeometry geometry, IReadOnlyList<float> factors, float scale = 1)
    {
        if (factors.Count != geometry.CodesPerPatch)
        {
            throw new ArgumentException($"There are {factors.Count} factors for the {geometry.CodesPerPatch} codes of a patch.", nameof(factors));
        }

        (Geometry, Factors) = (geometry, new PatchFactors([.. factors], scale));
    }

    /// <inheritdoc/>
    public PatchGeometry Geometry { get; }

    internal PatchFactors Factors { get; }

    /// <inheritdoc/>
    public Tensor Group(Tensor embeddings)
    {
        using var scope = NewDisposeScope();
        var factors = tensor(Factors.Factors, [Geometry.CodesPerPatch, 1], device: embeddings.device);
        return IPatchGrouping.ByPatch(embeddings, Geometry).mul(factors)  // [B, N, P, C]
            .sum(2).mul(Factors.Scale)                                    // [B, N, C]
            .MoveToOuterDisposeScope();
    }
}
