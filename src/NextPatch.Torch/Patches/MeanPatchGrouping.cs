using NextPatch.Core.Patches;
using static TorchSharp.torch;

namespace NextPatch.Torch.Patches;

// Shape letters: B batch, T codes, C width, n patches per side, p patch side, N = n n, P = p p.

/// <summary>The published policy: a patch token is the mean of its p x p code embeddings; targets are its codes, row by row.</summary>
public sealed class MeanPatchGrouping : IPatchGrouping
{
    public MeanPatchGrouping(PatchGeometry geometry) => Geometry = geometry;

    public PatchGeometry Geometry { get; }

    public Tensor Group(Tensor embeddings)
    {
        if (Geometry.PatchSide == 1)
        {
            return embeddings.alias();
        }

        using var scope = NewDisposeScope();
        int n = Geometry.PatchesPerSide, p = Geometry.PatchSide;
        return embeddings.view(embeddings.size(0), n, p, n, p, embeddings.size(2)) // [B, n, p, n, p, C]
            .mean([2, 4])                                                           // [B, n, n, C]
            .flatten(1, 2).MoveToOuterDisposeScope();                               // [B, N, C]
    }

    public Tensor Targets(Tensor codes)
    {
        using var scope = NewDisposeScope();
        int n = Geometry.PatchesPerSide, p = Geometry.PatchSide;
        return codes.reshape(codes.size(0), n, p, n, p)   // [B, n, p, n, p]
            .permute(0, 1, 3, 2, 4)                       // [B, n, n, p, p]
            .reshape(codes.size(0), n * n, p * p)         // [B, N, P]
            .MoveToOuterDisposeScope();
    }
}
