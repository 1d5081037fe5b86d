namespace NextPatch.Cli.Quickstart;

/// <summary>How far a part of a quickstart is.</summary>
/// <param name="Part">What runs: "Training".</param>
/// <param name="Done">Units done.</param>
/// <param name="Total">Units in all.</param>
/// <param name="Extra">What is known of it besides; null = nothing.</param>
internal sealed record QuickstartProgress(string Part, long Done, long Total, string? Extra = null);
