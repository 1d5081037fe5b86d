using NextPatch.Core;

namespace NextPatch.Training.Runs;

/// <summary>So many steps in a row were not finite that a run ended.</summary>
internal sealed class DivergedException(string message) : NextPatchException(message);
