namespace NextPatch.Evaluation.Protocol;

/// <summary>Everything that must be equal before two figures may be compared.</summary>
public sealed record EvaluationProtocol
{
    /// <summary>Name of the network; part of every figure's name.</summary>
    public required string Network { get; init; }

    /// <summary>SHA-256 of its weights.</summary>
    public required string WeightsHash { get; init; }

    /// <summary>How images came to the network's size: adm, clean, legacy, or none.</summary>
    public required string Resize { get; init; }

    /// <summary>Number of samples.</summary>
    public required int Images { get; init; }

    /// <summary>Rows and columns of every image.</summary>
    public required IReadOnlyList<int> ImageSize { get; init; }

    /// <summary>balanced: as many samples of each class; random: not so; unknown.</summary>
    public required string Labels { get; init; }

    /// <summary>How bytes came out of the decoder's floating-point images, where that is known; else "as stored".</summary>
    public required string Rounding { get; init; }

    /// <summary>Where the judged images came from.</summary>
    public required ImageOrigin Samples { get; init; }

    /// <summary>Where the reference images came from.</summary>
    public required ImageOrigin Reference { get; init; }

    /// <summary>Number of images whose features precision, recall and kernel distance used of the reference; null where none did.</summary>
    public int? ReferenceFeatures { get; init; }

    /// <summary>The seeds of whatever was drawn at random.</summary>
    public required EvaluationSeeds Seeds { get; init; }

    /// <summary>Images per split of the Inception Score.</summary>
    public int InceptionScoreSplit { get; init; } = 5000;

    /// <summary>k of precision and recall.</summary>
    public int Neighbours { get; init; } = 3;

    /// <summary>Subsets of the kernel distance.</summary>
    public int KidSubsets { get; init; } = 100;

    /// <summary>Images per subset of the kernel distance; fewer than 1,000 where a set is smaller.</summary>
    public int KidSubsetSize { get; init; } = 1000;

    /// <summary>Version of NextPatch.</summary>
    public required string Version { get; init; }
}

/// <summary>Seeds of whatever was drawn.</summary>
/// <param name="Samples">Of the samples; null where nothing says.</param>
/// <param name="Kid">Of the subsets of the kernel distance.</param>
public sealed record EvaluationSeeds(ulong? Samples, ulong Kid);
