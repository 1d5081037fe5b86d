namespace NextPatch.Evaluation.Protocol;

/// <summary>Seeds of whatever was drawn.</summary>
/// <param name="Samples">Of the samples; null where nothing says.</param>
/// <param name="Kid">Of the subsets of the kernel distance.</param>
public sealed record EvaluationSeeds(ulong? Samples, ulong Kid);
