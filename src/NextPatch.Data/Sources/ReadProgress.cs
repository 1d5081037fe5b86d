namespace NextPatch.Data.Sources;

/// <summary>How many of how many images are read.</summary>
public readonly record struct ReadProgress(int Done, int Total);
