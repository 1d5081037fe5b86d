namespace NextPatch.Data.Codes;

/// <summary>
/// <c>encoding.json</c> of a folder of codes: what is being written into it and how far that is; in a finished one, how it was made.
/// </summary>
internal sealed record CodeJournal
{
    public const string Name = "encoding.json";

    /// <summary>The setting that says what computed: where two code vectors are about equally near, engines may choose another one.</summary>
    public const string Engine = "engine";

    public required CodeLayout Layout { get; init; }

    /// <summary>What decides the codes, by name.</summary>
    public required IReadOnlyDictionary<string, string> Settings { get; init; }

    public AppendProgress Progress { get; init; } = new();

    /// <summary>Once all files are whole: their names, in the order in which they get them. Null before.</summary>
    public IReadOnlyList<string>? Finished { get; init; }
}

/// <summary>How codes lie on disk.</summary>
public enum CodeLayout
{
    /// <summary><c>codes.npy</c> and <c>labels.npy</c> of all images.</summary>
    Store,

    /// <summary>Two files per image, as the published extraction writes them.</summary>
    Published,
}
