using NextPatch.Core;

namespace NextPatch.Evaluation.Protocol;

/// <summary>Images to be measured, or to measure against: given out in order, in batches, however many they are.</summary>
internal abstract class ImageSet : IDisposable
{
    /// <summary>Largest batch that is given out: some 12 MB of images of 256x256.</summary>
    protected const int BatchSize = 64;

    private const long MostBytes = 256L << 20;

    /// <summary>What it is called in results: a file or folder name.</summary>
    public required string Name { get; init; }

    /// <summary>How the images are stored: "NumPy archive", "image folder", "codes", "model".</summary>
    public required string Layout { get; init; }

    /// <summary>Number of images.</summary>
    public abstract int Count { get; }

    /// <summary>Of the images, in pixels; where they differ, of the first.</summary>
    public abstract (int Height, int Width) Size { get; }

    /// <summary>Images of a batch: fewer where they are large photographs.</summary>
    internal int ImagesPerBatch => (int)Math.Clamp(MostBytes / Math.Max(1, 3L * Size.Height * Size.Width), 1, BatchSize);

    /// <summary>Class of each image, [Count]; null where nothing says.</summary>
    public IReadOnlyList<int>? Labels { get; init; }

    /// <summary>Number of classes that could occur; null where nothing says.</summary>
    public int? ClassCount { get; init; }

    /// <summary>Which part of a dataset: train or test; null where it has no parts.</summary>
    public string? Part { get; init; }

    /// <summary>The file whose hash identifies the images; null: their pixels do.</summary>
    public string? File { get; init; }

    /// <summary>How bytes came out of floating-point images.</summary>
    public string Rounding { get; init; } = "as stored";

    /// <summary>How they were drawn, where a model drew them.</summary>
    public Drawing? Drawing { get; init; }

    /// <summary>Whether the images are originals that went through a tokenizer.</summary>
    public bool IsReconstruction { get; init; }

    /// <summary>Whether the images lie on disk, so that looking at them first costs little; else a network makes each.</summary>
    public virtual bool IsStored => false;

    /// <summary>Sentences about what makes figures of these images questionable; complete after the images were read.</summary>
    public virtual IReadOnlyList<string> Warnings => [];

    /// <summary>Gives out the images; may be called again.</summary>
    /// <exception cref="NextPatchException">An image cannot be read; names it.</exception>
    /// <exception cref="DataFormatException">Data are damaged, or images differ in size.</exception>
    public abstract IEnumerable<ImageBatch> Read(CancellationToken cancellation = default);

    /// <summary>
    /// Whether no image has a colour, seen before any of them goes through a network; null where they would have to be made for it.
    /// </summary>
    /// <remarks>Stops at the first batch with a colour; grey images are read twice in the end.</remarks>
    internal bool? LookForColour(CancellationToken cancellation)
    {
        if (!IsStored)
        {
            return null;
        }

        foreach (var batch in Read(cancellation))
        {
            cancellation.ThrowIfCancellationRequested();
            if (!ImageMarks.IsAllGrey(batch.Pixels))
            {
                return false;
            }
        }

        return true;
    }

    public void Dispose()
    {
        Dispose(disposing: true);
        GC.SuppressFinalize(this);
    }

    protected virtual void Dispose(bool disposing)
    {
    }
}

/// <summary>Some images of one size.</summary>
/// <param name="Count">N.</param>
/// <param name="Height">In pixels.</param>
/// <param name="Width">In pixels.</param>
/// <param name="Pixels">RGB uint8 [N, Height, Width, 3].</param>
internal sealed record ImageBatch(int Count, int Height, int Width, byte[] Pixels);
