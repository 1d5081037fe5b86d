using NextPatch.Core.Patches;

namespace NextPatch.Core.Configuration;

/// <summary>Cost of one stage.</summary>
/// <param name="Stage">The stage.</param>
/// <param name="TokensPerImage">Training sequence length, (g / p)^2.</param>
/// <param name="Images">Images seen in the stage.</param>
/// <param name="FlopsPerImage">Forward and backward FLOPs per image.</param>
/// <param name="RelativeFlopsPerImage">Against patch side 1.</param>
/// <param name="RelativeShare">This stage's part of the published relative cost, (share of steps) / p^2.</param>
public sealed record StageCost(PatchStage Stage, int TokensPerImage, long Images, double FlopsPerImage, double RelativeFlopsPerImage, double RelativeShare);
