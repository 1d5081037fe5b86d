namespace NextPatch.Data.Codes;

/// <summary>How codes lie on disk.</summary>
public enum CodeLayout
{
    /// <summary><c>codes.npy</c> and <c>labels.npy</c> of all images.</summary>
    Store,

    /// <summary>Two files per image, as the published extraction writes them.</summary>
    Published,
}
