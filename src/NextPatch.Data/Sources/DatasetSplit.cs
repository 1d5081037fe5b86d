namespace NextPatch.Data.Sources;

/// <summary>Images to learn from, and images of the same classes and size that training never sees.</summary>
public sealed record DatasetSplit(ImageDataset Train, ImageDataset HeldOut);
