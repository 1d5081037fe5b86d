using NextPatch.Data.Sources;

namespace NextPatch.Data.Datasets;

/// <summary>The parts of a dataset as they lie on disk.</summary>
/// <param name="Train">Images to learn from.</param>
/// <param name="Test">Images of the same classes that the data keeps apart; null where it does not.</param>
public sealed record DatasetParts(ImageSource Train, ImageSource? Test) : IDisposable
{
    /// <summary>Parts of what lies in memory.</summary>
    public static DatasetParts From(DatasetSplit split)
    {
        const string Layout = "images in memory";
        return new DatasetParts(InMemoryImages.From(split.Train, Layout), InMemoryImages.From(split.HeldOut, Layout));
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        Train.Dispose();
        Test?.Dispose();
    }
}
