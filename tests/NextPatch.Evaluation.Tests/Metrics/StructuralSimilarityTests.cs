using NextPatch.Evaluation.Metrics;

namespace NextPatch.Evaluation.Tests.Metrics;

public sealed class StructuralSimilarityTests
{
    [Theory]
    [InlineData(7, 7, 0)]
    [InlineData(7, 16, 3)]
    [InlineData(19, 8, 40)]
    [InlineData(16, 16, 255)]
    public void Equals_a_plain_computation_of_every_window(int width, int height, int spread)
    {
        var random = new Random(width + height + spread);
        var image = new byte[width * height * 3];
        random.NextBytes(image);
        var other = Array.ConvertAll(image, value => (byte)Math.Clamp(value + random.Next(-spread, spread + 1), 0, 255));
        Assert.Equal(PlainWindows(image, other, width), StructuralSimilarity.Compute(image, other, width), 1e-9);
    }

    [Fact]
    public void A_known_pair_gives_the_value_worked_out_by_hand()
    {
        // Flat images: no variances, so only the first factor is left: (2 xy + C1) / (x^2 + y^2 + C1) with C1 = (0.01 * 510)^2.
        var (dark, bright) = (Enumerable.Repeat((byte)100, 8 * 7 * 3).ToArray(), Enumerable.Repeat((byte)150, 8 * 7 * 3).ToArray());
        Assert.Equal((30000 + 26.01) / (32500 + 26.01), StructuralSimilarity.Compute(dark, bright, 8), 1e-12);
        Assert.Equal(1, StructuralSimilarity.Compute(dark, dark, 8), 1e-12);
    }

    [Fact]
    public void Images_that_cannot_be_compared_are_refused()
    {
        Assert.Throws<ArgumentException>(() => StructuralSimilarity.Compute(new byte[7 * 6 * 3], new byte[7 * 6 * 3], 7));
        Assert.Throws<ArgumentException>(() => StructuralSimilarity.Compute(new byte[8 * 8 * 3], new byte[8 * 9 * 3], 8));
    }

    /// <summary>The formula on values in [0, 1] with a range of 2, window by window.</summary>
    private static double PlainWindows(byte[] first, byte[] second, int width)
    {
        var height = first.Length / 3 / width;
        var all = new List<double>();
        for (var channel = 0; channel < 3; channel++)
        {
            for (var top = 0; top + 7 <= height; top++)
            {
                for (var left = 0; left + 7 <= width; left++)
                {
                    var places = Enumerable.Range(0, 49).Select(i => ((((top + (i / 7)) * width) + left + (i % 7)) * 3) + channel).ToArray();
                    var (a, b) = (places.Select(p => first[p] / 255.0).ToArray(), places.Select(p => second[p] / 255.0).ToArray());
                    var (meanA, meanB) = (a.Average(), b.Average());
                    var (varA, varB) = (a.Sum(v => (v - meanA) * (v - meanA)) / 48, b.Sum(v => (v - meanB) * (v - meanB)) / 48);
                    var covariance = a.Zip(b, (v, w) => (v - meanA) * (w - meanB)).Sum() / 48;
                    var (c1, c2) = (0.02 * 0.02, 0.06 * 0.06);
                    all.Add(((2 * meanA * meanB) + c1) * ((2 * covariance) + c2) / (((meanA * meanA) + (meanB * meanB) + c1) * (varA + varB + c2)));
                }
            }
        }

        return all.Average();
    }
}
