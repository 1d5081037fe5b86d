namespace NextPatch.Evaluation.Protocol;

// Shape letters used in this file: D pooled features, S spatial features.

/// <summary>Mean and covariance of the features of a set of images, as a file keeps them.</summary>
public sealed record StoredStatistics
{
    /// <summary>[D].</summary>
    public required double[] Mean { get; init; }

    /// <summary>[D, D], unbiased.</summary>
    public required double[] Covariance { get; init; }

    /// <summary>[S]; null where the file has none.</summary>
    public double[]? SpatialMean { get; init; }

    /// <summary>[S, S], unbiased; null where the file has none.</summary>
    public double[]? SpatialCovariance { get; init; }

    /// <summary>The images.</summary>
    public required ImageOrigin Images { get; init; }

    /// <summary>How the features came about; null where the file does not say, as published ones do not.</summary>
    public FeatureOrigin? Features { get; init; }
}
