using NextPatch.Core.Patches;
using static TorchSharp.torch;

namespace NextPatch.Torch.Patches;

/// <summary>How codes become the tokens of a training stage: the policy that Next Patch Prediction fixes to the mean of p x p blocks.</summary>
public interface IPatchGrouping
{
    /// <summary>The division of the grid; its <see cref="PatchGeometry.PatchesPerSide"/> is the grid of the rotary positions.</summary>
    PatchGeometry Geometry { get; }

    /// <summary>Merges code embeddings into patch tokens.</summary>
    /// <param name="embeddings">float [B, T, C], row-major codes.</param>
    /// <returns>float [B, N, C].</returns>
    Tensor Group(Tensor embeddings);

    /// <summary>Lists the codes of each patch.</summary>
    /// <param name="codes">int64 [B, T].</param>
    /// <returns>int64 [B, N, P].</returns>
    Tensor Targets(Tensor codes);
}
