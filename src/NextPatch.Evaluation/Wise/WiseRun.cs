using System.Security.Cryptography;
using System.Text;
using System.Text.Json;
using System.Text.Json.Serialization;
using NextPatch.Core;
using NextPatch.Core.Files;

namespace NextPatch.Evaluation.Wise;

/// <summary>Asks a judge about the images of a folder and keeps what it says, a line of JSON each; killed or stopped, the same call
/// continues.</summary>
internal static class WiseRun
{
    /// <param name="prompts">What was drawn.</param>
    /// <param name="images">Folder of {id}.png; those that are missing are counted.</param>
    /// <param name="results">File of verdicts; is made.</param>
    /// <param name="judge">Null: only what is there already is summed up.</param>
    /// <param name="isVerified">Which benchmark.</param>
    /// <param name="jobs">Questions at a time.</param>
    /// <param name="progress">Told after every verdict.</param>
    /// <param name="cancellation">Stops asking; verdicts so far are kept.</param>
    /// <exception cref="ConfigException">The file holds verdicts of another judge.</exception>
    /// <exception cref="NextPatchException">The judge refuses or cannot be reached.</exception>
    public static async Task<WiseSummary> RunAsync(
        IReadOnlyList<WisePrompt> prompts, string images, string results, WiseJudge? judge, bool isVerified, int jobs,
        IProgress<EvaluationProgress>? progress, CancellationToken cancellation)
    {
        var known = Read(results);
        RequireSame(known, results, judge, isVerified);
        var there = prompts.Where(prompt => File.Exists(Path.Combine(images, prompt.FileName)))
            .ToDictionary(prompt => prompt, prompt => HashOf(Path.Combine(images, prompt.FileName)));

        // An image that was drawn anew since is another one.
        var verdicts = known.Where(line => there.Any(p => p.Key.Id == line.PromptId && p.Value == line.ImageHash))
            .GroupBy(line => line.PromptId).ToDictionary(lines => lines.Key, lines => lines.Last().ToVerdict());
        var failed = 0;
        if (judge is not null)
        {
            var open = there.Where(p => !verdicts.ContainsKey(p.Key.Id)).ToList();
            var counter = EvaluationProgress.Begin(progress, $"Judging, {judge.Model}", open.Count);
            using var log = Append(results);
            var done = 0;
            var atOnce = new ParallelOptions { MaxDegreeOfParallelism = jobs, CancellationToken = cancellation };
            await Parallel.ForEachAsync(open, atOnce, async (item, stop) =>
            {
                var (prompt, hash) = item;
                var png = await File.ReadAllBytesAsync(Path.Combine(images, prompt.FileName), stop).ConfigureAwait(false);
                var (verdict, reply) = await judge.AskAsync(prompt, png, stop).ConfigureAwait(false);
                lock (verdicts)
                {
                    if (verdict is { } said)
                    {
                        verdicts[prompt.Id] = said;
                        Write(log, WiseLine.Of(prompt, hash, judge, said, reply));
                    }
                    else
                    {
                        failed++;
                    }

                    counter?.Report(++done);
                }
            }).ConfigureAwait(false);
        }

        return WiseScores.Summarize(prompts, verdicts, isVerified) with { WithoutImage = prompts.Count - there.Count, Failed = failed };
    }

    private static List<WiseLine> Read(string path)
    {
        var lines = new List<WiseLine>();
        if (!File.Exists(path))
        {
            return lines;
        }

        foreach (var (i, text) in Whole(path).Split('\n', StringSplitOptions.RemoveEmptyEntries).Index())
        {
            try
            {
                lines.Add(JsonSerializer.Deserialize(text, WiseJson.Default.WiseLine) is { } line && line.IsSound
                    ? line
                    : throw new JsonException("scores are out of range"));
            }
            catch (JsonException e)
            {
                throw new DataFormatException($"'{path}', line {i + 1} is no verdict of WISE: {e.Message} Delete the line.", e);
            }
        }

        return lines;
    }

    private static void RequireSame(IReadOnlyList<WiseLine> lines, string path, WiseJudge? judge, bool isVerified)
    {
        if (lines.FirstOrDefault(line => line.IsVerified != isVerified
            || (judge is not null && (line.Judge != judge.Model || line.Instructions != judge.InstructionsHash))) is { } other)
        {
            throw new ConfigException(
                $"'{path}' holds verdicts of {PrintableText.From(other.Judge)} on {(other.IsVerified ? "WISE_Verified" : "the first WISE")}, or by "
                + "another wording; figures of different judges cannot be mixed. Choose another Results.")
            { Settings = ["Results"] };
        }
    }

    /// <summary>Everything up to the end of the last whole line: a killed process may have left a part of one.</summary>
    private static string Whole(string path) => TextFile.Read(path, TextFile.MostBytesOfJson) is var text ? text[..(text.LastIndexOf('\n') + 1)] : "";

    /// <summary>Opens for writing behind the last whole line.</summary>
    private static FileStream Append(string path)
    {
        Directory.CreateDirectory(Path.GetDirectoryName(Path.GetFullPath(path))!);
        try
        {
            var length = File.Exists(path) ? Encoding.UTF8.GetByteCount(Whole(path)) : 0;
            var log = new FileStream(path, FileMode.OpenOrCreate, FileAccess.Write, FileShare.Read);
            log.SetLength(length);
            log.Position = length;
            return log;
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw new NextPatchException($"'{path}' cannot be written: {e.Message} Does another command write it?", e);
        }
    }

    /// <summary>A whole line, on the disk before the next.</summary>
    private static void Write(FileStream log, WiseLine line)
    {
        log.Write(Encoding.UTF8.GetBytes(JsonSerializer.Serialize(line, WiseJson.Default.WiseLine) + "\n"));
        log.Flush(flushToDisk: true);
    }

    private static string HashOf(string path)
    {
        using var file = TextFile.Open(path);
        return Convert.ToHexStringLower(SHA256.HashData(file))[..16];
    }
}

/// <summary>A verdict as it is kept.</summary>
internal sealed record WiseLine
{
    [JsonPropertyName("prompt_id")]
    public required int PromptId { get; init; }

    [JsonPropertyName("consistency")]
    public required int Consistency { get; init; }

    [JsonPropertyName("realism")]
    public int? Realism { get; init; }

    [JsonPropertyName("aesthetic_quality")]
    public int? AestheticQuality { get; init; }

    [JsonPropertyName("verified")]
    public required bool IsVerified { get; init; }

    [JsonPropertyName("judge")]
    public required string Judge { get; init; }

    [JsonPropertyName("instructions")]
    public required string Instructions { get; init; }

    [JsonPropertyName("image")]
    public required string ImageHash { get; init; }

    [JsonPropertyName("reply")]
    public string? Reply { get; init; }

    [JsonIgnore]
    public bool IsSound => WiseScores.IsKnown(PromptId) && (IsVerified
        ? Consistency is 0 or 1
        : Consistency is >= 0 and <= 2 && Realism is >= 0 and <= 2 && AestheticQuality is >= 0 and <= 2);

    public static WiseLine Of(WisePrompt prompt, string image, WiseJudge judge, WiseVerdict verdict, string reply) => new()
    {
        PromptId = prompt.Id, Consistency = verdict.Consistency, Realism = verdict.Realism, AestheticQuality = verdict.AestheticQuality,
        IsVerified = judge.IsVerified, Judge = judge.Model, Instructions = judge.InstructionsHash, ImageHash = image, Reply = reply,
    };

    public WiseVerdict ToVerdict() => new(Consistency, Realism, AestheticQuality);
}

[JsonSourceGenerationOptions(DefaultIgnoreCondition = JsonIgnoreCondition.WhenWritingNull)]
[JsonSerializable(typeof(WiseLine))]
internal sealed partial class WiseJson : JsonSerializerContext;
