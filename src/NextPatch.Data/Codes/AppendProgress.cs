using NextPatch.Data.Sources;

namespace NextPatch.Data.Codes;

/// <summary>How far an unfinished folder of codes is.</summary>
public sealed record AppendProgress
{
    /// <summary>Place in the source of the first image that is not done.</summary>
    public int Next { get; init; }

    /// <summary>Images whose codes are stored.</summary>
    public int Count { get; init; }

    /// <summary>How many of them, the last ones, are for validation.</summary>
    public int HeldOutCount { get; init; }

    /// <summary>Images left out because they could not be read.</summary>
    public int SkippedCount { get; init; }

    /// <summary>The first thousand of them.</summary>
    public IReadOnlyList<BadImage> Skipped { get; init; } = [];
}
