using System.Text.Json;
using NextPatch.Core.Checkpoints.Safetensors;
using NextPatch.Core.Files;

namespace NextPatch.Core.Checkpoints;

/// <summary>
/// The SHA-256 of a checkpoint's files, in the file <c>SHA256SUMS</c> as <c>sha256sum</c> writes and checks it. Tells a damaged
/// checkpoint from a whole one before anything of it is used.
/// </summary>
internal static class CheckpointSums
{
    public const string FileName = "SHA256SUMS";
    private const int HexDigits = 64;
    private static readonly string[] Required = ["config.json", "model.safetensors", "optimizer.safetensors", "state.json"];

    /// <summary>Adds the sums of files of a folder to it.</summary>
    /// <param name="folder">Where they lie.</param>
    /// <param name="names">Null: all of them.</param>
    internal static void Write(string folder, params string[]? names)
    {
        var files = names is { Length: > 0 } ? names.Select(name => Path.Combine(folder, name)) : Directory.GetFiles(folder);
        var lines = files.Order(StringComparer.Ordinal).Select(file => $"{FileHash.Compute(file)}  {Path.GetFileName(file)}\n");
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

    /// <summary>Files that a folder's sums list and that are not there; none where it has no sums.</summary>
    /// <exception cref="DataFormatException">The sums are cut short or garbled.</exception>
    public static IReadOnlyList<string> MissingIn(string folder)
        => File.Exists(Path.Combine(folder, FileName)) ? [.. NamesIn(folder).Where(name => !File.Exists(Path.Combine(folder, name)))] : [];

    /// <summary>The names of the files that a folder's sums list.</summary>
    internal static IReadOnlyCollection<string> NamesIn(string folder) => Read(folder).Keys;

    private static void RequireSum(string file, string? sum)
    {
        var folder = Path.GetDirectoryName(Path.GetFullPath(file))!;
        var sums = Path.Combine(folder, FileName);
        var expected = File.Exists(sums) ? Read(folder).GetValueOrDefault(Path.GetFileName(file)) : null;
        if (expected is not null && !string.Equals(expected, sum ?? FileHash.Compute(file), StringComparison.OrdinalIgnoreCase))
        {
            throw new DataFormatException(
                $"'{file}' does not have the SHA-256 that {FileName} beside it states, so it is damaged or was changed; take another checkpoint of "
                    + $"the run, or fetch this one again. If it was changed on purpose, delete {sums}.");
        }
    }

    private static string? Mismatch(string folder)
    {
        var listed = Read(folder);
        foreach (var (name, sum) in listed)
        {
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

        return Required.All(listed.ContainsKey) ? null : $"{FileName} is cut short or garbled";
    }

    /// <summary>Sums in hexadecimal by file name, as <c>sha256sum</c> writes them, of text or binary files.</summary>
    /// <exception cref="DataFormatException">A line is no such line, or the name is no file of the folder.</exception>
    private static Dictionary<string, string> Read(string folder)
    {
        var path = Path.Combine(folder, FileName);
        var sums = new Dictionary<string, string>();
        foreach (var (number, line) in TextFile.ReadLines(path).Where(line => line.Text.Length > 0))
        {
            if (line.Length < HexDigits + 3 || line[HexDigits] != ' ' || line[HexDigits + 1] is not (' ' or '*')
                || !line.AsSpan(0, HexDigits).ToArray().All(char.IsAsciiHexDigit)
                || !sums.TryAdd(PathComponent.Require(line[(HexDigits + 2)..], path), line[..HexDigits]))
            {
                throw new DataFormatException($"{FileName} is cut short or garbled (line {number} of '{path}')");
            }
        }

        return sums;
    }

    private static string? Malformed(string folder)
    {
        foreach (var file in Directory.GetFiles(folder, "*.json"))
        {
            using var _ = JsonDocument.Parse(TextFile.ReadUtf8(file, TextFile.MostBytesOfJson));
        }

        foreach (var file in Directory.GetFiles(folder, "*.safetensors"))
        {
            _ = SafetensorsFile.ReadHeader(file); // which compares the file's length with the one it declares
        }

        return null;
    }
}
