using NextPatch.Core.Configuration;
using NextPatch.Core.Sampling;

namespace NextPatch.Core.Generation;

/// <summary>Something that turns class labels or prompts into grids of codes. Engines differ in speed, not in what they return.</summary>
public interface IGenerationEngine : IDisposable
{
    /// <summary>What a person calls it: "TorchSharp (CPU)".</summary>
    string Name { get; }

    /// <summary>The transformer's shape.</summary>
    GptConfig Config { get; }

    /// <summary>Images that it draws at a time. Parts of a request that begin and end at multiples of it waste nothing.</summary>
    int BatchSize { get; }

    /// <summary>Draws one grid of codes per label or prompt.</summary>
    /// <param name="request">What to draw.</param>
    /// <param name="progress">Receives the number of finished images.</param>
    /// <param name="cancellation">Checked at every position.</param>
    /// <returns>Codes, row-major, [images, T].</returns>
    /// <exception cref="ConfigException">A label is out of range, a prompt is missing or of another width, or guidance is asked of a model without a
    /// null class.</exception>
    int[] Generate(GenerationRequest request, IProgress<int>? progress = null, CancellationToken cancellation = default);
}

/// <summary>
/// Images to draw. Image k of a request has index <see cref="FirstIndex"/> + k and depends on nothing but its label or prompt, its index, the seed
/// and the rules.
/// </summary>
public sealed record GenerationRequest
{
    /// <summary>One class per image; of a model that captions condition zeros, as many as there are images.</summary>
    public required IReadOnlyList<int> Labels { get; init; }

    /// <summary>One prompt per image, of a model that captions condition (<see cref="GptConfig.Text"/>); null where classes do.</summary>
    public IReadOnlyList<PromptFeatures>? Prompts { get; init; }

    /// <summary>The seed; image k depends on it and on k alone.</summary>
    public ulong Seed { get; init; }

    /// <summary>Index of the first image, so that a large set can be drawn in parts.</summary>
    public long FirstIndex { get; init; }

    /// <summary>Temperature, filters and guidance.</summary>
    public SamplingConfig Sampling { get; init; } = new();

    /// <summary>
    /// Codes that are given instead of drawn, [images, T], -1 where one is drawn; null: all are drawn. A code depends on those before it, above and
    /// to its left: what is given right of it and below is not seen.
    /// </summary>
    public IReadOnlyList<int>? GivenCodes { get; init; }

    /// <summary>Told of every row of a grid as it is finished, on the thread that draws.</summary>
    public Action<FinishedRow>? OnRow { get; init; }
}

/// <summary>A row of an image's grid that was drawn.</summary>
/// <param name="Image">Place of the image in the request.</param>
/// <param name="Rows">Rows that are finished, this one included.</param>
/// <param name="Codes">Those of the finished rows, row-major; valid during the call.</param>
public readonly record struct FinishedRow(int Image, int Rows, ReadOnlyMemory<int> Codes);
