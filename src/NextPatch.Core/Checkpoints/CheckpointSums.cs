using System.Text.Json;
using NextPatch.Core.Checkpoints.Safetensors;

namespace NextPatch.Core.Checkpoints;

/// <summary>
/// The SHA-256 of a checkpoint's files, in the file <c>SHA256SUMS</c> as <c>sha256sum</c> writes and checks it. Tells a damaged
/// checkpoint from a whole one before anything of it is used.
/// </summary>
internal static class CheckpointSums
{
    public const string FileName = "SHA256SUMS";
    private static readonly string[] Required = ["config.json", "model.safetensors", "optimizer.safetensors", "state.json"];

    /// <summary>Adds the sums of all files of a folder to it.</summary>
    internal static void Write(string folder)
    {
        var lines = Directory.GetFiles(folder).Order(StringComparer.Ordinal).Select(file => $"{FileHash.Compute(file)}  {Path.GetFileName(file)}\n");
        File.WriteAllText(Path.Combine(folder, FileName), string.Concat(lines));
    }

    /// <summary>What is wrong with a checkpoint, or null. One without sums, from before there were any, is checked by its structure only.</summary>
    public static string? ProblemOf(string folder)
    {
        try
        {
            var missing = Required.FirstOrDefault(name => !File.Exists(Path.Combine(folder, name)));
            if (missing is not null)
            {
                return $"{missing} is missing";
            }

            return File.Exists(Path.Combine(folder, FileName)) ? Mismatch(folder) : Malformed(folder);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException or NextPatchException or JsonException)
        {
            return e.Message;
        }
    }

    /// <summary>
    /// Compares a file of a checkpoint with the sum beside it, and of an index also the files it lists; where there is no sum, from before there were
    /// any or of another program, nothing is compared.
    /// </summary>
    /// <param name="file">A file in the checkpoint's folder.</param>
    /// <param name="sum">SHA-256 of a file that is no index, in hexadecimal, where the caller has it already; else it is computed, which reads the
    /// file.</param>
    /// <exception cref="DataFormatException">A file is not what was written.</exception>
    public static void RequireIntact(string file, string? sum = null)
    {
        var isIndex = SafetensorsIndex.IsIndex(file);
        RequireSum(file, isIndex ? null : sum);
        foreach (var listed in isIndex ? SafetensorsIndex.FilesOf(file) : [])
        {
            RequireSum(listed, null);
        }
    }

    private static void RequireSum(string file, string? sum)
    {
        var folder = Path.GetDirectoryName(Path.GetFullPath(file))!;
        var sums = Path.Combine(folder, FileName);
        var expected = File.Exists(sums)
            ? File.ReadLines(sums).Select(line => line.Split("  ", 2))
                .FirstOrDefault(parts => parts.Length == 2 && parts[1] == Path.GetFileName(file))?[0]
            : null;
        if (expected is not null && !string.Equals(expected, sum ?? FileHash.Compute(file), StringComparison.OrdinalIgnoreCase))
        {
            throw new DataFormatException(
                $"'{file}' does not have the SHA-256 that {FileName} beside it states, so it is damaged or was changed; take another checkpoint of "
                    + $"the run, or fetch this one again. If it was changed on purpose, delete {sums}.");
        }
    }

    private static string? Mismatch(string folder)
    {
        var listed = new HashSet<string>();
        foreach (var line in File.ReadLines(Path.Combine(folder, FileName)))
        {
            if (line.Split("  ", 2) is not [var sum, var name] || name != Path.GetFileName(name))
            {
                return $"{FileName} is cut short or garbled";
            }

            listed.Add(name);
            var path = Path.Combine(folder, name);
            if (!File.Exists(path))
            {
                return $"{name} is missing";
            }

            if (!string.Equals(FileHash.Compute(path), sum, StringComparison.OrdinalIgnoreCase))
            {
                return $"{name} does not have the SHA-256 it was written with";
            }
        }

        return listed.IsSupersetOf(Required) ? null : $"{FileName} is cut short or garbled";
    }

    private static string? Malformed(string folder)
    {
        foreach (var file in Directory.GetFiles(folder, "*.json"))
        {
            using var _ = JsonDocument.Parse(File.ReadAllBytes(file));
        }

        foreach (var file in Directory.GetFiles(folder, "*.safetensors"))
        {
            _ = SafetensorsFile.ReadHeader(file); // which compares the file's length with the one it declares
        }

        return null;
    }
}
