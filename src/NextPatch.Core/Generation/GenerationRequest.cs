using NextPatch.Core.Sampling;

namespace NextPatch.Core.Generation;

/// <summary>Images to draw. Image k of a request has index <see cref="FirstIndex"/> + k and depends on nothing but its label, its index, the seed and the rules.</summary>
public sealed record GenerationRequest
{
    /// <summary>One class per image.</summary>
    public required IReadOnlyList<int> Labels { get; init; }

    public ulong Seed { get; init; }

    /// <summary>Index of the first image, so that a large set can be drawn in parts.</summary>
    public long FirstIndex { get; init; }

    public SamplingConfig Sampling { get; init; } = new();
}
