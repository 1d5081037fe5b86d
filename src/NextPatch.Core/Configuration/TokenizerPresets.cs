namespace NextPatch.Core.Configuration;

/// <summary>The published tokenizers.</summary>
public static class TokenizerPresets
{
    /// <summary>The names that the presets go by.</summary>
    public static IReadOnlyList<string> Names { get; } = ["VQ-16", "VQ-8"];

    /// <param name="name">A preset's name; case is ignored.</param>
    /// <exception cref="ConfigException">No preset has this name; the message lists them.</exception>
    public static TokenizerConfig Get(string name) => name.ToUpperInvariant() switch
    {
        "VQ-16" => Vqgan(16, [128, 128, 256, 256, 512]),
        "VQ-8" => Vqgan(8, [128, 256, 256, 512]),
        _ => throw new ConfigException($"There is no tokenizer preset '{name}'. Presets: {string.Join(", ", Names)}."),
    };

    private static TokenizerConfig Vqgan(int factor, int[] channels) => new()
    {
        Architecture = TokenizerArchitecture.Vqgan,
        ImageSide = 256,
        DownsamplingFactor = factor,
        CodebookSize = 16384,
        CodeWidth = 8,
        Channels = channels,
        BlockCounts = [.. channels.Select(_ => 2)],
        LatentChannels = 256,
    };
}
