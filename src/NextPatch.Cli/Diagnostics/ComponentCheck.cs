namespace NextPatch.Cli.Diagnostics;

/// <summary>Whether one native part loads and computes.</summary>
/// <param name="Name">What it is called.</param>
/// <param name="Purpose">What needs it.</param>
/// <param name="Works">It loaded and gave the right answer.</param>
/// <param name="Version">Its version, where it loaded.</param>
/// <param name="Location">Where it was loaded from, or null.</param>
/// <param name="Problem">The system's own words, where it does not work.</param>
/// <param name="Remedy">What to do about it.</param>
internal sealed record ComponentCheck(string Name, string Purpose, bool Works, string? Version, string? Location, string? Problem, string? Remedy);
