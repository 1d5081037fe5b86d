namespace NextPatch.Core.Patches;

/// <summary>One stage of coarse-to-fine training: optimiser steps [<paramref name="Start"/>, <paramref name="End"/>) with patches of side <paramref name="PatchSide"/>.</summary>
/// <param name="Index">Position in the schedule, 0 = coarsest.</param>
/// <param name="PatchSide">Side p, in codes.</param>
/// <param name="Start">First optimiser step.</param>
/// <param name="End">Step after the last.</param>
public sealed record PatchStage(int Index, int PatchSide, long Start, long End)
{
    /// <summary>Number of optimiser steps.</summary>
    public long StepCount => End - Start;
}
