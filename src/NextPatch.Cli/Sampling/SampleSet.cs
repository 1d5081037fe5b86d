using NextPatch.Core.Sampling;

namespace NextPatch.Cli.Sampling;

/// <summary>What <c>samples.json</c> holds: how a set of samples came about.</summary>
internal sealed record SampleSet
{
    /// <summary>Class of each image, in the order of samples.npz.</summary>
    public required IReadOnlyList<int> Labels { get; init; }

    public required IReadOnlyList<string> ClassNames { get; init; }

    public required ulong Seed { get; init; }

    public required long FirstIndex { get; init; }

    public required SamplingConfig Sampling { get; init; }

    /// <summary>ema or model.</summary>
    public required string Weights { get; init; }

    public required string ModelHash { get; init; }

    public required string Engine { get; init; }

    public required string Version { get; init; }
}
