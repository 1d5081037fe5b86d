using System.Text.Json;
using NextPatch.Core;
using NextPatch.Core.Files;

namespace NextPatch.Evaluation.Wise;

/// <summary>A prompt of WISE: what is drawn, and what a good picture of it shows.</summary>
/// <param name="Id">Its number, which says its category: 1 to 1000.</param>
/// <param name="Prompt">What the model is told.</param>
/// <param name="Explanation">What the judge is told besides.</param>
internal sealed record WisePrompt(int Id, string Prompt, string Explanation)
{
    public WiseCategory Category => WiseScores.CategoryOf(Id);

    /// <summary>Name of its image.</summary>
    public string FileName => string.Create(System.Globalization.CultureInfo.InvariantCulture, $"{Id}.png");
}

/// <summary>Reads WISE's lists of prompts (<c>data/*.json</c>): arrays of objects with prompt_id, Prompt and Explanation.</summary>
internal static class WisePrompts
{
    /// <param name="paths">Files, together without a number twice.</param>
    /// <exception cref="NextPatchException">Missing or unreadable.</exception>
    /// <exception cref="DataFormatException">Of another kind, or a number occurs twice.</exception>
    public static IReadOnlyList<WisePrompt> Read(IReadOnlyList<string> paths)
    {
        var prompts = new SortedDictionary<int, WisePrompt>();
        foreach (var path in paths)
        {
            foreach (var prompt in Read(path))
            {
                if (!prompts.TryAdd(prompt.Id, prompt))
                {
                    throw new DataFormatException($"Prompt {prompt.Id} of '{path}' was there before; every number may occur once.");
                }
            }
        }

        return prompts.Count > 0 ? [.. prompts.Values] : throw new DataFormatException("The lists hold no prompt.");
    }

    private static List<WisePrompt> Read(string path)
    {
        try
        {
            using var json = JsonDocument.Parse(TextFile.ReadUtf8(path, TextFile.MostBytesOfJson));
            return [.. json.RootElement.EnumerateArray().Select(item => new WisePrompt(
                item.GetProperty("prompt_id").GetInt32() is var id && WiseScores.IsKnown(id)
                    ? id
                    : throw new DataFormatException($"'{path}' has a prompt {id}; WISE's have the numbers 1 to {WiseScores.LastId}."),
                item.GetProperty("Prompt").GetString()!, item.GetProperty("Explanation").GetString()!))];
        }
        catch (Exception e) when (e is JsonException or InvalidOperationException or KeyNotFoundException or FormatException)
        {
            throw new DataFormatException(
                $"'{path}' is no list of WISE: an array of objects with prompt_id, Prompt and Explanation was expected "
                + $"({e.Message.TrimEnd('.')}).", e);
        }
    }
}
