using NextPatch.Core.Patches;

namespace NextPatch.Torch.Patches;

/// <summary>The published policy: a patch token is the mean of its p x p code embeddings.</summary>
public sealed class MeanPatchGrouping(PatchGeometry geometry)
    : LinearPatchGrouping(geometry, [.. Enumerable.Repeat(1f, geometry.CodesPerPatch)], 1f / geometry.CodesPerPatch);
