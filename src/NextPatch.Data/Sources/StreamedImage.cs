namespace NextPatch.Data.Sources;

/// <summary>An image as it comes out of an <see cref="ImageStream"/>.</summary>
/// <param name="Index">Its place in the source.</param>
/// <param name="Path">Where it lies.</param>
/// <param name="Label">Its class.</param>
/// <param name="Value">What was made of it.</param>
public readonly record struct StreamedImage<T>(int Index, string Path, int Label, T Value);
