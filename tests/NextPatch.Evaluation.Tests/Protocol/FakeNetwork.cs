using NextPatch.Evaluation.Networks;

namespace NextPatch.Evaluation.Tests.Protocol;

/// <summary>A network that can be computed by hand: mean red, green, blue and their product; corners as spatial features; three classes.</summary>
internal sealed class FakeNetwork : IFeatureNetwork
{
    public string Name { get; init; } = "fake";

    public string WeightsHash { get; init; } = new('a', 64);

    public int FeatureCount => 4;

    public int SpatialCount { get; init; } = 2;

    public int ClassCount { get; init; } = 3;

    public ResizeProtocol? Resize { get; init; } = ResizeProtocol.Clean;

    /// <summary>Image from which on features are <see cref="Broken"/>.</summary>
    public int BrokenFrom { get; init; } = int.MaxValue;

    public float Broken { get; init; } = float.NaN;

    /// <summary>Images seen.</summary>
    public int Seen { get; private set; }

    public ImageFeatures Extract(ReadOnlySpan<byte> pixels, int height, int width)
    {
        var (size, count) = (height * width * 3, pixels.Length / (height * width * 3));
        var features = new ImageFeatures(count, new float[count * 4], new float[count * SpatialCount], new float[count * ClassCount]);
        for (var i = 0; i < count; i++, Seen++)
        {
            var image = pixels.Slice(i * size, size);
            var means = new float[3];
            for (var k = 0; k < size; k++)
            {
                means[k % 3] += image[k] / 255f / (size / 3);
            }

            float[] row = [.. means, Seen >= BrokenFrom ? Broken : means[0] * means[1] * means[2]];
            row.CopyTo(features.Pooled, i * 4);
            for (var s = 0; s < SpatialCount; s++)
            {
                features.Spatial[(i * SpatialCount) + s] = image[s * (size - 1)] / 255f;
            }

            means.AsSpan(0, ClassCount).CopyTo(features.Logits.AsSpan(i * ClassCount));
        }

        return features;
    }

    public void Dispose()
    {
    }
}
