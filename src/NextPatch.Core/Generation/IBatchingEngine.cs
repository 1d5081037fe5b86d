using NextPatch.Core.Sampling;

namespace NextPatch.Core.Generation;

/// <summary>
/// An engine whose images enter and leave between codes, which servers need. It draws through the batch or by whole requests, not both at a time.
/// </summary>
internal interface IBatchingEngine : IGenerationEngine
{
    /// <summary>The images that are drawn side by side; none at first.</summary>
    IGenerationBatch Batch { get; }
}

/// <summary>Images in progress, each at its own position and by its own rules; none changes another's bits. One thread at a time.</summary>
internal interface IGenerationBatch
{
    /// <summary>Rows of a pass that are taken: one per image, two where it is guided.</summary>
    int Rows { get; }

    /// <summary>Whether another image may enter now.</summary>
    bool HasRoom(SamplingConfig sampling);

    /// <summary>Lets an image enter; there must be room, and the request must be valid.</summary>
    /// <param name="request">The image is one of these.</param>
    /// <param name="place">Its place in the request.</param>
    IImageInProgress Enter(GenerationRequest request, int place);

    /// <summary>Takes an image out, finished or not. Its codes stay until another enters.</summary>
    void Leave(IImageInProgress image);

    /// <summary>Draws one more code of every image, none of which may be finished.</summary>
    void Step();
}

/// <summary>An image of a batch; the object serves later images again.</summary>
internal interface IImageInProgress
{
    /// <summary>Codes drawn so far.</summary>
    int Position { get; }

    /// <summary>Whether all are.</summary>
    bool IsFinished { get; }

    /// <summary>All codes drawn so far, row-major.</summary>
    ReadOnlyMemory<int> Codes { get; }
}
