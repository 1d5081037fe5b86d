using NextPatch.Core.Patches;
using static TorchSharp.torch;

namespace NextPatch.Torch.Patches;

/// <summary>A patch token is the largest value of its code embeddings, element by element.</summary>
internal sealed class MaxPatchGrouping(PatchGeometry geometry) : IPatchGrouping
{
    public PatchGeometry Geometry => geometry;

    public Tensor Group(Tensor embeddings)
    {
        using var scope = NewDisposeScope();
        return IPatchGrouping.ByPatch(embeddings, geometry).amax([2]).MoveToOuterDisposeScope(); // [B, N, P, C] -> [B, N, C]
    }
}
