using static TorchSharp.torch;

namespace NextPatch.Evaluation.Metrics;

// Shape letters used in this file: N training images, M images asked about, D bytes per image, C images in this chunk.

/// <summary>
/// Are samples copies of training images? The distance of an image is the Euclidean one, in pixels, to its nearest training image; a
/// sample is a copy when that is smaller than the first percentile of the same distance over held-out images.
/// </summary>
/// <remarks>
/// Pixels and not features: a copy is the same picture, and features were trained to forget position and colour. Generated images
/// have been through the tokenizer's decoder, which puts even an exact copy at the distance of its reconstruction error. So give
/// reconstructions of the training and held-out images: then a memorised code grid lies at distance zero.
/// </remarks>
internal static class CopyDetector
{
    private const double Percentile = 0.01;
    private const int ChunkSize = 500;

    // Enough for a first percentile; more would double the cost on large datasets.
    private const int MaximumHeldOut = 2000;

    /// <summary>Share of the samples, in [0, 1], that lie nearer to a training image than the nearest 1 % of held-out images do.</summary>
    /// <param name="samples">uint8 [M, D].</param>
    /// <param name="heldOut">uint8 [H, D]: images of the same kind that training never saw; of more than 2,000, evenly spaced ones are used.</param>
    /// <param name="training">uint8 [N, D].</param>
    /// <param name="imageBytes">D.</param>
    /// <param name="cancellation">Checked between chunks.</param>
    /// <remarks>Cost: 2 (M + H) N D floating-point operations; 2,500 images of 32x32 against 12,000 take a few seconds on two cores.</remarks>
    public static double CopyRate(
        ReadOnlyMemory<byte> samples, ReadOnlyMemory<byte> heldOut, ReadOnlyMemory<byte> training, int imageBytes,
        CancellationToken cancellation = default)
    {
        var limits = NearestDistances(Thin(heldOut, imageBytes), training, imageBytes, cancellation);
        Array.Sort(limits);
        var threshold = limits[(int)(limits.Length * Percentile)];
        var distances = NearestDistances(samples, training, imageBytes, cancellation);
        return (double)distances.Count(d => d < threshold) / distances.Length;
    }

    /// <summary>Euclidean distance of each image to its nearest training image, in units of the byte scale (0..255).</summary>
    /// <param name="images">uint8 [M, D], M at least 1.</param>
    /// <param name="training">uint8 [N, D], N at least 1.</param>
    /// <param name="imageBytes">D.</param>
    /// <param name="cancellation">Checked between chunks.</param>
    /// <returns>[M].</returns>
    /// <exception cref="ArgumentException">A block is empty or not a whole number of images.</exception>
    public static double[] NearestDistances(
        ReadOnlyMemory<byte> images, ReadOnlyMemory<byte> training, int imageBytes, CancellationToken cancellation = default)
    {
        var (count, trainingCount) = (Count(images, imageBytes, nameof(images)), Count(training, imageBytes, nameof(training)));
        var best = new float[count];
        var nearest = new int[count];
        Array.Fill(best, float.PositiveInfinity);
        using var noGradient = no_grad();
        using var scope = NewDisposeScope();
        var rows = Centred(images, 0, count, imageBytes); // [M, D]
        for (var first = 0; first < trainingCount; first += ChunkSize)
        {
            cancellation.ThrowIfCancellationRequested();
            using var inner = NewDisposeScope();
            var chunk = Centred(training, first, Math.Min(ChunkSize, trainingCount - first), imageBytes); // [C, D]
            // |a - b|^2 without |a|^2, which does not change which b is nearest.
            var partial = chunk.square().sum(1).unsqueeze(0) - (2 * nn.functional.linear(rows, chunk));   // [M, C]
            var (values, at) = partial.min(1);
            Merge(values.data<float>().ToArray(), at.data<long>().ToArray(), first, best, nearest);
        }

        // Exact in integers: the expansion above loses digits where the distance is small, and that is where it matters.
        return [.. Enumerable.Range(0, count).Select(i => Distance(Slice(images, i, imageBytes), Slice(training, nearest[i], imageBytes)))];
    }

    private static ReadOnlyMemory<byte> Thin(ReadOnlyMemory<byte> images, int imageBytes)
    {
        var count = Count(images, imageBytes, nameof(images));
        if (count <= MaximumHeldOut)
        {
            return images;
        }

        var thinned = new byte[MaximumHeldOut * imageBytes];
        for (var i = 0; i < MaximumHeldOut; i++)
        {
            Slice(images, (int)((long)i * count / MaximumHeldOut), imageBytes).CopyTo(thinned.AsSpan(i * imageBytes));
        }

        return thinned;
    }

    private static void Merge(float[] values, long[] at, int first, float[] best, int[] nearest)
    {
        for (var i = 0; i < values.Length; i++)
        {
            if (values[i] < best[i])
            {
                (best[i], nearest[i]) = (values[i], first + (int)at[i]);
            }
        }
    }

    // Around the middle of the scale, so that products stay small.
    private static Tensor Centred(ReadOnlyMemory<byte> images, int first, int count, int imageBytes)
    {
        using var scope = NewDisposeScope();
        var bytes = tensor(images.Slice(first * imageBytes, count * imageBytes).ToArray(), [count, imageBytes], dtype: ScalarType.Byte);
        return ((bytes.to(ScalarType.Float32) - 127.5f) / 255f).MoveToOuterDisposeScope();
    }

    private static ReadOnlySpan<byte> Slice(ReadOnlyMemory<byte> images, int i, int imageBytes) => images.Span.Slice(i * imageBytes, imageBytes);

    private static double Distance(ReadOnlySpan<byte> a, ReadOnlySpan<byte> b)
    {
        var sum = 0L;
        for (var i = 0; i < a.Length; i++)
        {
            var difference = a[i] - b[i];
            sum += difference * difference;
        }

        return Math.Sqrt(sum);
    }

    private static int Count(ReadOnlyMemory<byte> images, int imageBytes, string name)
        => images.Length > 0 && images.Length % imageBytes == 0
            ? images.Length / imageBytes
            : throw new ArgumentException($"{images.Length} bytes are not a whole, positive number of images of {imageBytes} bytes each.", name);
}
