using NextPatch.Core.Sampling;
using NextPatch.Evaluation.Metrics;

namespace NextPatch.Evaluation.Tests.Metrics;

[NoTensorLeaks]
public sealed class CopyDetectorTests
{
    private const int ImageBytes = 4 * 4 * 3;

    [Fact]
    public void Distances_are_those_of_the_plain_search()
    {
        var (images, training) = (Noise(0, 20), Noise(1, 1_100)); // several chunks
        var expected = Rows(images).Select(a => Rows(training).Min(b => Math.Sqrt(a.Zip(b, (x, y) => (double)(x - y) * (x - y)).Sum())));
        Assert.Equal(expected, CopyDetector.NearestDistances(images, training, ImageBytes));
    }

    [Fact]
    public void Training_images_are_copies_and_one_held_out_image_in_a_hundred_is()
    {
        var training = Noise(1, 800);
        Assert.Equal(1, CopyDetector.CopyRate(training.AsMemory(0, 100 * ImageBytes), Noise(0, 300), training, ImageBytes));
        Assert.Equal(0.01, CopyDetector.CopyRate(Noise(0, 300), Noise(0, 300), training, ImageBytes), 1e-12);
        Assert.InRange(CopyDetector.CopyRate(Noise(2, 300), Noise(0, 300), training, ImageBytes), 0, 0.04);
    }

    [Fact]
    public void Nothing_to_compare_is_refused()
    {
        Assert.Throws<ArgumentException>(() => CopyDetector.NearestDistances(Array.Empty<byte>(), Noise(1, 2), ImageBytes));
        Assert.Throws<ArgumentException>(() => CopyDetector.NearestDistances(Noise(1, 2), new byte[5], ImageBytes));
    }

    private static IEnumerable<byte[]> Rows(byte[] images) => images.Chunk(ImageBytes);

    private static byte[] Noise(int index, int count)
    {
        var random = new CounterRandom(9, RandomStream.Evaluation);
        return [.. Enumerable.Range(0, count * ImageBytes).Select(i => (byte)random.Below(256, index, i))];
    }
}
