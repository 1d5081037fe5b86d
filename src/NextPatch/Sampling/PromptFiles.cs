using System.Text.Encodings.Web;
using System.Text.Json;
using System.Text.Json.Serialization;
using NextPatch.Core.Files;
using NextPatch.Core.Generation;
using NextPatch.Data.Imaging;

namespace NextPatch.Sampling;

/// <summary>Which image was drawn from which prompt, in the published files (<c>sample_t2i_ddp.py</c>).</summary>
internal static class PromptFiles
{
    public const string Captions = "captions.txt";
    public const string Results = "result.jsonl";

    /// <summary>Writes <c>captions.txt</c>, a line per image, and in the published layout <c>result.jsonl</c>.</summary>
    public static void Write(SamplePaths paths, IReadOnlyList<PromptFeatures> prompts, long firstIndex, PictureFormat format)
    {
        Directory.CreateDirectory(paths.Prompts);
        AtomicFile.WriteText(Path.Combine(paths.Prompts, Captions), string.Concat(prompts.Select(prompt => Line(prompt.Text) + "\n")));
        if (paths.HasPublishedGrid)
        {
            AtomicFile.WriteText(Path.Combine(paths.Prompts, Results), string.Concat(prompts.Select((prompt, i) => JsonSerializer.Serialize(
                new PromptResult(prompt.Text, Path.Combine(paths.Images, SampleWriter.FileName(firstIndex + i, format))),
                PromptResultJson.Readable.PromptResult) + "\n")));
        }
    }

    private static string Line(string prompt) => prompt.ReplaceLineEndings(" ");
}

/// <summary>A line of <c>result.jsonl</c>.</summary>
/// <param name="Text">The prompt.</param>
/// <param name="ImagePath">Where its image lies.</param>
internal sealed record PromptResult([property: JsonPropertyName("text")] string Text, [property: JsonPropertyName("image_path")] string ImagePath);

[JsonSerializable(typeof(PromptResult))]
internal sealed partial class PromptResultJson : JsonSerializerContext
{
    public static PromptResultJson Readable { get; } = new(new JsonSerializerOptions { Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping });
}
