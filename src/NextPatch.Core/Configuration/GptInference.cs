using NextPatch.Core.Checkpoints;

namespace NextPatch.Core.Configuration;

/// <summary>Reads a transformer's configuration off the names and shapes of its weights.</summary>
/// <remarks>
/// The number of heads leaves no trace in the shapes: it comes from the preset of the same width and depth, or from a rotary table
/// where the file carries one. The grid comes from that table or from the settings ("args") that the published code saves.
/// </remarks>
internal static class GptInference
{
    private const string CodeTable = "tok_embeddings.weight";
    private const string ClassTable = "cls_embedding.embedding_table.weight";
    private const string CaptionProjection = "cls_embedding.cap_proj.fc1.weight";
    private const string UnconditionalFeatures = "cls_embedding.uncond_embedding";
    private const int DefaultGridSide = 16;
    private const int ImageNetClasses = 1000;
    private const string FirstGate = "layers.0.feed_forward.w1.weight";
    private const string FirstAttention = "layers.0.attention.wqkv.weight";

    // Powers of two, the published one first.
    private static readonly int[] FfnMultiples = [256, 512, 128, 64, 32, 16, 8, 4, 2, 1];

    /// <summary>The preset with this width, depth and SwiGLU width; null if none has them or these are not the weights of a transformer.</summary>
    /// <param name="shapes">Extents by state key.</param>
    public static string? FindPreset(IReadOnlyDictionary<string, IReadOnlyList<long>> shapes)
        => Measure(shapes) is var (width, layers, ffn)
            ? GptPresets.Names.FirstOrDefault(
                name => GptPresets.Get(name) is var preset && preset.Width == width && preset.LayerCount == layers && preset.FfnWidth == ffn)
            : null;

    /// <summary>Side of the grid of codes, as the file's rotary table or settings say; null where neither does.</summary>
    public static int? FindGridSide(WeightsFile weights)
        => GridOf(
            weights.RotaryTable?.Shape, SettingsOf(weights),
            weights.Tensors.TryGetValue(UnconditionalFeatures, out var text) && text.Shape is [var tokens, _] ? tokens : 1);

    /// <summary>The configuration of a transformer that is conditioned on classes or on captions.</summary>
    /// <param name="weights">The weights.</param>
    /// <param name="gridSide">Side of the grid of codes; null = as the file's rotary table says, else 16.</param>
    /// <exception cref="ConfigException">Not such a transformer, or its number of heads cannot be known.</exception>
    public static GptConfig Infer(WeightsFile weights, int? gridSide = null) => Infer(
        weights.Path, weights.Tensors.ToDictionary(p => p.Key, p => p.Value.Shape), weights.RotaryTable?.Shape, SettingsOf(weights), gridSide);

    /// <param name="path">What messages call the weights.</param>
    /// <param name="shapes">Extents by state key.</param>
    /// <param name="rotary">Extents of the rotary table, if there is one.</param>
    /// <param name="settings">Options of the script that saved the weights.</param>
    /// <param name="gridSide">As above.</param>
    internal static GptConfig Infer(
        string path, IReadOnlyDictionary<string, IReadOnlyList<long>> shapes, IReadOnlyList<long>? rotary, Dictionary<object, object?> settings,
        int? gridSide)
    {
        var text = FindText(shapes);
        if (Measure(shapes) is not var (width, layers, ffn) || !shapes.TryGetValue(FirstAttention, out var attention)
            || (text is null && !(shapes.TryGetValue(ClassTable, out var classes) && classes is [_, _])))
        {
            throw new ConfigException(
                $"'{path}' does not hold a transformer that is conditioned on classes or captions: it needs tensors like {CodeTable}, {FirstGate}, "
                + $"and {ClassTable} or {CaptionProjection} with {UnconditionalFeatures}.");
        }

        var preset = FindPreset(shapes) is { } name ? GptPresets.Get(name) : null;
        var heads = rotary is [_, > 0 and var half, ..] && width % (2 * half) == 0 ? (int)(width / (2 * half)) : preset?.HeadCount
            ?? throw new ConfigException(
                $"'{path}' has width {width} and {layers} layers, as no preset has, so its number of heads is unknown; put the weights into a "
                + $"folder as model.safetensors with a config.json.");
        var config = (preset ?? new GptConfig { Width = width, LayerCount = layers, HeadCount = heads }) with
        {
            HeadCount = heads,
            VocabularySize = checked((int)shapes[CodeTable][0]),
            GridSide = gridSide ?? GridOf(rotary, settings, text?.TokenCount ?? 1) ?? DefaultGridSide,
            Text = text,
            ClassCount = 1,
        };

        if (text is null)
        {
            // The last row is the null class, unless the model was trained without dropping labels.
            var classRows = shapes[ClassTable][0];
            var hasNullClass = classRows != (Setting(settings, "num_classes") ?? ImageNetClasses);
            config = config with
            {
                ClassCount = checked((int)(hasNullClass ? classRows - 1 : classRows)),
                ClassDropout = hasNullClass ? config.ClassDropout : 0,
            };
        }

        var kvHeads = (int)((attention[0] / config.HeadWidth) - heads) / 2;
        config = config with { KvHeadCount = kvHeads == heads ? null : kvHeads };
        return WithFfnWidth(config, ffn, path).Validated();
    }

    private static (int Width, int Layers, long FfnWidth)? Measure(IReadOnlyDictionary<string, IReadOnlyList<long>> shapes)
    {
        if (!shapes.TryGetValue(CodeTable, out var codes) || codes is not [_, > 0 and <= int.MaxValue and var width]
            || !shapes.TryGetValue(FirstGate, out var gate) || gate is not [var ffn, _])
        {
            return null;
        }

        var layers = Enumerable.Range(0, shapes.Count).TakeWhile(i => shapes.ContainsKey($"layers.{i}.feed_forward.w1.weight")).Count();
        return ((int)width, layers, ffn);
    }

    /// <summary>The captions that condition a transformer with these weights; null: a class does, or it is none.</summary>
    /// <param name="shapes">Extents by state key.</param>
    public static TextCondition? FindText(IReadOnlyDictionary<string, IReadOnlyList<long>> shapes)
        => shapes.TryGetValue(CaptionProjection, out var projection) && projection is [_, > 0 and <= int.MaxValue and var features]
            && shapes.TryGetValue(UnconditionalFeatures, out var rows) && rows is [> 0 and <= int.MaxValue and var tokens, _]
            ? new TextCondition { FeatureWidth = (int)features, TokenCount = (int)tokens }
            : null;

    private static int? SquareRoot(long? value)
        => value is > 0 and var square && Math.Sqrt(square) is var side && side == Math.Floor(side) ? (int)side : null;

    private static Dictionary<object, object?> SettingsOf(WeightsFile weights)
        => weights.Others.GetValueOrDefault("args") as Dictionary<object, object?> ?? [];

    private static int? GridOf(IReadOnlyList<long>? rotary, Dictionary<object, object?> settings, long conditionTokens)
        => SquareRoot(rotary?[0] - conditionTokens)
            ?? (Setting(settings, "image_size") is > 0 and var pixels && Setting(
            settings, "downsample_size") is > 0 and var factor && pixels % factor == 0 ? (int)(pixels / factor) : null);

    private static long? Setting(Dictionary<object, object?> settings, string name) => settings.GetValueOrDefault(name) as long?;

    private static GptConfig WithFfnWidth(GptConfig config, long ffn, string path)
    {
        if (config.FfnWidth == ffn)
        {
            return config;
        }

        // First the usual width rounded to another multiple, then any width as a factor.
        var multiple = Array.Find(FfnMultiples, m => (config with { FfnMultipleOf = m, FfnMultiplier = null }).FfnWidth == ffn);
        var found = multiple > 0
            ? config with { FfnMultipleOf = multiple, FfnMultiplier = null }
            : config with { FfnMultipleOf = 1, FfnMultiplier = (ffn + 0.5) / (2L * 4 * config.Width / 3) };
        return found.FfnWidth == ffn
            ? found
            : throw new ConfigException($"'{path}' has a SwiGLU width of {ffn} for width {config.Width}, which no configuration gives.");
    }
}
