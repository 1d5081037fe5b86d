using NextPatch.Core.Sampling;

namespace NextPatch.Data.Sources;

/// <summary>A dataset that the program draws itself: ten classes of bright vector shapes on dark gradients.</summary>
internal static class ShapesDataset
{
    // Held-out images are drawn from indices that no training set reaches, so its size does not change them.
    private const long FirstHeldOutIndex = 1L << 32;

    // Places in an image's random stream.
    private const int Fill = 0;
    private const int Background = 1;
    private const int CentreX = 2;
    private const int CentreY = 3;
    private const int Radius = 4;
    private const int Angle = 5;

    /// <summary>Names of the classes; label k is entry k.</summary>
    public static IReadOnlyList<string> ClassNames { get; } = [.. ShapePaths.All.Select(s => s.Name)];

    /// <summary>Draws training and held-out images; label i is i mod 10, and image i depends on the seed, its part and i alone.</summary>
    /// <param name="seed">Another seed gives other images of the same kind.</param>
    /// <param name="trainCount">Images to learn from.</param>
    /// <param name="heldOutCount">Images kept apart.</param>
    /// <param name="side">Width and height in pixels.</param>
    /// <param name="options">How much the shapes vary; null for the defaults.</param>
    public static DatasetSplit Create(ulong seed, int trainCount = 12_000, int heldOutCount = 2_000, int side = 32, ShapesOptions? options = null)
    {
        ArgumentOutOfRangeException.ThrowIfNegative(trainCount);
        ArgumentOutOfRangeException.ThrowIfNegative(heldOutCount);
        ArgumentOutOfRangeException.ThrowIfLessThan(side, 8);
        options ??= new ShapesOptions();
        var random = new CounterRandom(seed, RandomStream.Drawing);
        return new DatasetSplit(Draw(random, 0, trainCount, side, options), Draw(random, FirstHeldOutIndex, heldOutCount, side, options));
    }

    private static ImageDataset Draw(CounterRandom random, long firstIndex, int count, int side, ShapesOptions options)
    {
        var imageBytes = side * side * 3;
        var pixels = new byte[checked(count * imageBytes)];
        var labels = new int[count];
        Parallel.For(0, count, i =>
        {
            labels[i] = i % ShapePaths.All.Count;
            DrawImage(random, firstIndex + i, labels[i], options, side, pixels.AsSpan(i * imageBytes, imageBytes));
        });
        return new ImageDataset { Name = "shapes", Side = side, ClassNames = ClassNames, Pixels = pixels, Labels = labels };
    }

    private static void DrawImage(CounterRandom random, long index, int label, ShapesOptions options, int side, Span<byte> destination)
    {
        double Between(double low, double high, int position) => low + ((high - low) * random.Uniform(index, position));

        ShapePaths.Draw(
            new DrawnShape(
                label, options.Fills[random.Below(options.Fills.Count, index, Fill)],
                options.Backgrounds[random.Below(options.Backgrounds.Count, index, Background)],
                16 + Between(-options.PositionJitter, options.PositionJitter, CentreX),
                16 + Between(-options.PositionJitter, options.PositionJitter, CentreY),
                Between(options.MinRadius, options.MaxRadius, Radius), Between(-options.Rotation, options.Rotation, Angle)),
            side, destination);
    }
}
