namespace NextPatch.Data.Sources;

/// <summary>An image that could not be read.</summary>
/// <param name="Index">Its place in the source.</param>
/// <param name="Path">Where it lies.</param>
/// <param name="Reason">The error's message.</param>
public sealed record BadImage(int Index, string Path, string Reason);
