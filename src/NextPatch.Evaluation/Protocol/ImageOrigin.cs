using NextPatch.Core.Sampling;

namespace NextPatch.Evaluation.Protocol;

/// <summary>Which images a figure is about, so that it can be told from figures about others.</summary>
public sealed record ImageOrigin
{
    /// <summary>File or folder name.</summary>
    public required string Name { get; init; }

    /// <summary>How they are stored.</summary>
    public required string Layout { get; init; }

    /// <summary>Part of a dataset, train or test; null where it has none.</summary>
    public string? Part { get; init; }

    /// <summary>SHA-256 in lower-case hexadecimal.</summary>
    public required string Hash { get; init; }

    /// <summary>What <see cref="Hash"/> is of: "file", or "pixels" in the order of the images.</summary>
    public required string HashOf { get; init; }

    /// <summary>Number of images; null where a file of statistics does not say.</summary>
    public int? Images { get; init; }

    /// <summary>Seed, rules and weights of images that a model drew.</summary>
    public Drawing? Drawing { get; init; }
}

/// <summary>How a model drew a set of images.</summary>
/// <param name="Seed">Seed of the images.</param>
/// <param name="Sampling">Guidance and filters.</param>
/// <param name="ModelHash">SHA-256 of the weights, lower-case hexadecimal.</param>
/// <param name="Weights">ema or model.</param>
public sealed record Drawing(ulong Seed, SamplingConfig Sampling, string ModelHash, string Weights);
