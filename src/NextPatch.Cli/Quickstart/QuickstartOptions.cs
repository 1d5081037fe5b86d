namespace NextPatch.Cli.Quickstart;

/// <summary>What a person can choose.</summary>
/// <param name="Output">Folder that receives everything.</param>
/// <param name="Data">A real dataset, or null for drawn shapes.</param>
/// <param name="Minutes">Time to fit the run to, or null for the fixed settings.</param>
/// <param name="PatchLevel">Coarse-to-fine levels; 1 = next-token baseline.</param>
/// <param name="Seed">Seed of everything random.</param>
/// <param name="Compare">Train next-token on the same codes as well.</param>
/// <param name="Text">Captions instead of classes.</param>
internal sealed record QuickstartOptions(
    string Output, string? Data, double? Minutes, int PatchLevel, ulong Seed, bool Compare = false, bool Text = false);
