namespace NextPatch.Text.Tokens;

/// <summary>Text as numbers.</summary>
internal interface ITokenizer
{
    /// <summary>Names what it was made of: SHA-256 of the model file, or a word.</summary>
    string Hash { get; }

    /// <summary>Ids lie below.</summary>
    int VocabularySize { get; }

    /// <summary>The ids of a text, the end's among them; never cut.</summary>
    int[] Encode(string text);
}
