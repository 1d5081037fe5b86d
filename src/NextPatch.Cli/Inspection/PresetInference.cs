using NextPatch.Core.Configuration;

namespace NextPatch.Cli.Inspection;

/// <summary>Recognises a transformer by its state keys and shapes.</summary>
internal static class PresetInference
{
    /// <returns>The preset's name, or null.</returns>
    /// <remarks>The number of heads leaves no trace in the shapes; width and depth are different in every preset.</remarks>
    public static string? Find(IReadOnlyList<TensorSummary> tensors)
    {
        var shapes = tensors.ToDictionary(t => t.Name, t => t.Shape);
        if (!shapes.TryGetValue("tok_embeddings.weight", out var embeddings) || embeddings is not [_, var width]
            || !shapes.TryGetValue("layers.0.feed_forward.w1.weight", out var up) || up is not [var ffnWidth, _])
        {
            return null;
        }

        var layers = Enumerable.Range(0, tensors.Count).TakeWhile(i => shapes.ContainsKey($"layers.{i}.feed_forward.w1.weight")).Count();
        return GptPresets.Names.FirstOrDefault(name =>
            GptPresets.Get(name) is var preset && preset.Width == width && preset.LayerCount == layers && preset.FfnWidth == ffnWidth);
    }
}
