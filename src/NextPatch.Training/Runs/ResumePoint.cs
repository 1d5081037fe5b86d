using System.Text.Json;
using System.Text.Json.Serialization.Metadata;
using NextPatch.Core;
using NextPatch.Core.Checkpoints;
using NextPatch.Core.Files;

namespace NextPatch.Training.Runs;

/// <summary>Finds what a run starts from in its folder, which must be locked, and refuses what would not be the same run.</summary>
internal static class ResumePoint
{
    /// <param name="checkpoints">Those of the run.</param>
    /// <param name="options">Whether to resume, and whom to tell.</param>
    /// <param name="requireSame">Refuses a checkpoint, given as its folder, of a run with other settings.</param>
    /// <returns>The checkpoint's folder, or null for a fresh start.</returns>
    /// <exception cref="ConfigException">There is a run and it may not be continued, or not with these settings.</exception>
    /// <exception cref="DataFormatException">There are checkpoints and all are damaged.</exception>
    public static string? Find(CheckpointFolder checkpoints, RunOptions options, Action<string> requireSame)
    {
        foreach (var name in checkpoints.CleanUp())
        {
            options.OnNote?.Invoke($"Removed {name} from {options.Output}, a checkpoint that an interrupted run left half-written.");
        }

        if (!options.Resume && checkpoints.All() is [.., var last])
        {
            throw new ConfigException($"{options.Output} already holds a run ({last}). Continue it with Resume, or choose another Output.")
            { Settings = ["Resume", "Output"] };
        }

        var (newest, damaged) = checkpoints.FindIntact();
        if (newest is null)
        {
            return null;
        }

        var folder = checkpoints.At(newest);
        requireSame(folder);
        var renamed = checkpoints.FallBack(newest, damaged.Select(d => d.Name));
        foreach (var (name, problem) in damaged)
        {
            var kept = renamed.FirstOrDefault(r => r.StartsWith("damaged-" + name, StringComparison.Ordinal));
            options.OnNote?.Invoke($"The checkpoint {name} is damaged: {problem}.{(kept is null ? "" : $" It is now called {kept}.")}");
        }

        if (damaged.Count > 0)
        {
            options.OnNote?.Invoke($"The run falls back to {newest}.");
        }

        return folder;
    }

    /// <summary>Refuses to continue a run with settings that would make it another one.</summary>
    /// <exception cref="ConfigException">Lists every setting that differs.</exception>
    public static void RequireSame<T>(T stored, T given, JsonTypeInfo<T> type, string checkpoint)
    {
        var differences = SettingsComparison.Differences(JsonSerializer.SerializeToNode(stored, type), JsonSerializer.SerializeToNode(given, type));
        if (differences.Count > 0)
        {
            throw new ConfigException(
            [
                $"The run in {checkpoint} was started with other settings, so it cannot be resumed with these "
                + "(leave them out, or use InitialWeights and another Output):",
                .. differences.Select(d =>
                    $"{d.Name}: {d.Stored?.ToJsonString() ?? "not set"} in the checkpoint, {d.Given?.ToJsonString() ?? "not set"} now"),
            ])
            { Settings = ["InitialWeights", "Output"] };
        }
    }
}
