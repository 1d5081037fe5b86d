namespace NextPatch.Evaluation.Networks;

/// <summary>A pretrained network whose activations stand for images when two sets of them are compared.</summary>
/// <remarks>One thread at a time. Its name belongs to every figure: a Fréchet distance is an FID only in the features of the FID Inception
/// network.</remarks>
public interface IFeatureNetwork : IDisposable
{
    /// <summary>As figures carry it: <c>inception</c>, <c>resnet20</c>, <c>mobilenet-v1-0.25-128</c>, <c>squeezenet-1.1</c>.</summary>
    string Name { get; }

    /// <summary>SHA-256 of the weights file, lower-case hexadecimal.</summary>
    string WeightsHash { get; }

    /// <summary>Values per image in <see cref="ImageFeatures.Pooled"/>.</summary>
    int FeatureCount { get; }

    /// <summary>
    /// Values per image in <see cref="ImageFeatures.Spatial"/>, row by row of the map, channels innermost; 0 where the network has none.
    /// </summary>
    int SpatialCount { get; }

    /// <summary>
    /// Classes in <see cref="ImageFeatures.Logits"/> (of the FID Inception network without bias, as the Inception Score wants them); 0 where the
    /// network has none.
    /// </summary>
    int ClassCount { get; }

    /// <summary>Side of the squares that the network takes; null where it takes images of any size.</summary>
    int? InputSide => null;

    /// <summary>How images are brought to that size; null where they never are.</summary>
    ResizeProtocol? Resize => null;

    /// <summary>Features of a batch of images, all of one size; the network's own resize comes first.</summary>
    /// <param name="pixels">RGB uint8 [N, height, width, 3].</param>
    /// <param name="height">In pixels.</param>
    /// <param name="width">In pixels.</param>
    /// <exception cref="Core.NextPatchException">The bytes are no whole number of such images, or features are not finite.</exception>
    ImageFeatures Extract(ReadOnlySpan<byte> pixels, int height, int width);
}

/// <summary>What a feature network says of a batch of N images, row by row.</summary>
/// <param name="Count">N.</param>
/// <param name="Pooled">float [N, D], D = <see cref="IFeatureNetwork.FeatureCount"/>.</param>
/// <param name="Spatial">float [N, S], S = <see cref="IFeatureNetwork.SpatialCount"/>; empty where the network has none.</param>
/// <param name="Logits">float [N, C], C = <see cref="IFeatureNetwork.ClassCount"/>; empty where the network has none.</param>
public sealed record ImageFeatures(int Count, float[] Pooled, float[] Spatial, float[] Logits);
