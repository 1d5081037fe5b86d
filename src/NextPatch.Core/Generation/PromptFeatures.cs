namespace NextPatch.Core.Generation;

// Shape letters used in this file: N tokens of a prompt, W numbers per token.

/// <summary>A prompt as a text-to-image transformer takes it: the features that a text encoder gives for each of its tokens. Immutable.</summary>
public sealed class PromptFeatures
{
    private readonly float[] _values;

    /// <param name="text">The prompt, for records; engines do not look at it.</param>
    /// <param name="values">float [N, W], copied.</param>
    /// <param name="width">W.</param>
    /// <exception cref="ConfigException">No token, not a whole number of them, or a number that is not finite.</exception>
    public PromptFeatures(string text, ReadOnlySpan<float> values, int width)
    {
        (Text, Width, _values) = (text, width, values.ToArray());
        if (width < 1 || values.Length == 0 || values.Length % width != 0)
        {
            throw new ConfigException(
                $"{values.Length} features are no tokens of {width} numbers each; a prompt has at least one token, the one that ends it.");
        }

        if (!Array.TrueForAll(_values, float.IsFinite))
        {
            throw new ConfigException("Features of a prompt are not finite; the file or the encoder that they come from is damaged.");
        }
    }

    /// <summary>The prompt.</summary>
    public string Text { get; }

    /// <summary>W.</summary>
    public int Width { get; }

    /// <summary>N.</summary>
    public int TokenCount => _values.Length / Width;

    /// <summary>float [N, W].</summary>
    public ReadOnlyMemory<float> Values => _values;
}
