using NextPatch.Core;
using NextPatch.Training.Tokenizer;

namespace NextPatch.Cli.Tokenizers;

/// <summary>The value of <c>--freeze</c>.</summary>
internal static class FrozenParts
{
    /// <exception cref="ConfigException">A name is no part of a tokenizer.</exception>
    public static IReadOnlyList<TokenizerPart>? Parse(string? text)
        => text is null ? null :
        [
            .. text.Split(',', StringSplitOptions.TrimEntries).Select(name =>
                Enum.GetValues<TokenizerPart>().Where(p => string.Equals(p.ToString(), name, StringComparison.OrdinalIgnoreCase)) is { } found
                    && found.Any()
                    ? found.First()
                    : throw new ConfigException(
                        $"--freeze '{text}': '{name}' is no part of a tokenizer; write encoder, codebook, decoder, separated by commas.")),
        ];
}
