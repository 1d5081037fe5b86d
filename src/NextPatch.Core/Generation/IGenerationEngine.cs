using NextPatch.Core.Configuration;

namespace NextPatch.Core.Generation;

/// <summary>Something that turns class labels into grids of codes. Engines differ in speed, not in what they return.</summary>
public interface IGenerationEngine : IDisposable
{
    /// <summary>What a person calls it: "TorchSharp (CPU)".</summary>
    string Name { get; }

    GptConfig Config { get; }

    /// <summary>Images that it draws at a time. Parts of a request that begin and end at multiples of it waste nothing.</summary>
    int BatchSize { get; }

    /// <summary>Draws one grid of codes per label.</summary>
    /// <param name="request">What to draw.</param>
    /// <param name="progress">Receives the number of finished images.</param>
    /// <param name="cancellation">Checked at every position.</param>
    /// <returns>Codes, row-major, [images, T].</returns>
    /// <exception cref="ConfigException">A label is out of range, or guidance is asked of a model without a null class.</exception>
    int[] Generate(GenerationRequest request, IProgress<int>? progress = null, CancellationToken cancellation = default);
}
