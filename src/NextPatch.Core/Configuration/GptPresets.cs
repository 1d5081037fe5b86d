namespace NextPatch.Core.Configuration;

/// <summary>Named transformer shapes: the published ones at V = 16384, and small ones for a CPU.</summary>
public static class GptPresets
{
    private static readonly (string Name, int Layers, int Heads, int Width)[] Published =
    [
        ("B", 12, 12, 768), ("L", 24, 16, 1024), ("XL", 36, 20, 1280), ("XXL", 48, 24, 1536), ("XXXL", 48, 40, 2560),
        ("1B", 22, 32, 2048), ("3B", 24, 32, 3200), ("7B", 32, 32, 4096),
    ];

    // Short runs on few images: no dropout but that of labels, and an initialisation that suits narrow models.
    private static readonly (string Name, int Layers, int Heads, int Width)[] Small =
    [
        ("tiny", 2, 4, 64), ("small", 4, 4, 128), ("medium", 6, 6, 192),
    ];

    /// <summary>Every preset name, smallest first.</summary>
    public static IReadOnlyList<string> Names { get; } = [.. Small.Concat(Published).Select(p => p.Name)];

    /// <summary>Published names only, as the paper has them.</summary>
    public static IReadOnlyList<string> LlamaGenNames { get; } = [.. Published.Select(p => p.Name)];

    /// <param name="name">A preset's name; "GPT-" in front and case are ignored.</param>
    /// <exception cref="ConfigException">No preset has this name; the message lists them.</exception>
    public static GptConfig Get(string name)
    {
        var key = name.StartsWith("GPT-", StringComparison.OrdinalIgnoreCase) ? name[4..] : name;
        foreach (var (preset, layers, heads, width) in Published)
        {
            if (string.Equals(preset, key, StringComparison.OrdinalIgnoreCase))
            {
                return new GptConfig { Width = width, LayerCount = layers, HeadCount = heads };
            }
        }

        foreach (var (preset, layers, heads, width) in Small)
        {
            if (string.Equals(preset, key, StringComparison.OrdinalIgnoreCase))
            {
                return new GptConfig
                {
                    Width = width, LayerCount = layers, HeadCount = heads, FfnMultipleOf = 32,
                    Initialization = WeightInitialization.WidthScaled, TokenDropout = 0, ResidualDropout = 0, FfnDropout = 0,
                };
            }
        }

        throw new ConfigException($"There is no preset '{name}'. Presets: {string.Join(", ", Names)}.");
    }

    /// <summary>Guidance scale published for a preset (README of NPP); 2 where none is.</summary>
    public static double GuidanceScale(string name) => name.ToUpperInvariant() switch
    {
        "L" or "GPT-L" => 1.75,
        "XL" or "GPT-XL" => 1.70,
        "XXL" or "GPT-XXL" => 1.65,
        _ => 2.0,
    };
}
