using System.Globalization;

namespace NextPatch.Core.Patches;

/// <summary>One stage of an explicit schedule; either <paramref name="Percent"/> or <paramref name="Steps"/> is set.</summary>
/// <param name="PatchSide">Side p, in codes.</param>
/// <param name="Percent">Share of the run's optimiser steps, in percent.</param>
/// <param name="Steps">Optimiser steps.</param>
public sealed record StageLength(int PatchSide, double? Percent = null, long? Steps = null)
{
    private const long MostSteps = 1_000_000_000_000;

    /// <summary>Reads a list such as <c>4:10%,2:30%,1:60%</c> or <c>4:500,2:1000,1:3000</c>.</summary>
    /// <exception cref="ConfigException">The text is no such list.</exception>
    public static IReadOnlyList<StageLength> ParseList(string text) => [.. text.Split(',').Select(part =>
    {
        var fields = part.Split(':', StringSplitOptions.TrimEntries);
        if (fields.Length == 2 && StrictNumber.TryParse(fields[0], out int side))
        {
            if (fields[1].EndsWith('%') && StrictNumber.TryParse(fields[1].AsSpan(..^1), out double percent))
            {
                return new StageLength(side, Percent: percent);
            }

            if (StrictNumber.TryParse(fields[1], out long steps) && steps <= MostSteps)
            {
                return new StageLength(side, Steps: steps);
            }
        }

        throw new ConfigException($"'{part.Trim()}' in the stages '{text}' is not a patch side with its share or number of steps; "
            + "write them like 4:10%,2:30%,1:60% or 4:500,2:1000,1:3000.");
    })];

    /// <summary>As <see cref="ParseList"/> reads it.</summary>
    public override string ToString() => Percent is { } percent
        ? string.Create(CultureInfo.InvariantCulture, $"{PatchSide}:{percent}%")
        : string.Create(CultureInfo.InvariantCulture, $"{PatchSide}:{Steps}");
}
