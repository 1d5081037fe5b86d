using NextPatch.Core.Configuration;
using NextPatch.Core.Patches;
using NextPatch.Kernels.Elementwise;

namespace NextPatch.Torch.Patches;

/// <summary>What the kernels need to know of a run's patches, by division of the grid.</summary>
/// <param name="Grouping">Name of a linear grouping.</param>
/// <param name="TargetPower">See <see cref="PatchTargetWeights"/>.</param>
/// <param name="Position">Where rotary positions place a patch.</param>
internal sealed record PatchObjective(string Grouping, double TargetPower, PatchPosition Position = PatchPosition.Grid)
{
    /// <summary>At patch side 1 a token is its code's embedding whatever the grouping, because generation does not group.</summary>
    public PatchFactors FactorsOf(PatchGeometry geometry)
        => geometry.PatchSide == 1 ? new PatchFactors([1], 1) : ((LinearPatchGrouping)PatchGroupings.Create(Grouping, geometry)).Factors;

    public float[] TargetWeightsOf(PatchGeometry geometry) => PatchTargetWeights.Create(geometry.CodesPerPatch, TargetPower);
}
