using NextPatch.Core;

namespace NextPatch.Training.Ranks;

/// <summary>Ranks of a run are not, or no longer, computing the same thing.</summary>
internal sealed class RankFailureException(string message) : NextPatchException(message);
