using NextPatch.Core;
using NextPatch.Evaluation.Metrics;

namespace NextPatch.Evaluation.Tests.Metrics;

[NoTensorLeaks]
public sealed class PrecisionRecallTests
{
    [Fact]
    public void Good_samples_of_a_part_of_the_reference_have_precision_one_and_low_recall_and_the_other_way_round()
    {
        // The reference is spread over 0..99, the samples over 0..9 alone: every sample is good, a tenth (and a margin) of the reference is reached.
        float[] wide = [.. Enumerable.Range(0, 100).Select(i => (float)i)];
        float[] narrow = [.. Enumerable.Range(0, 40).Select(i => i / 4f)];
        Assert.Equal(new PrecisionRecall(1, 0.11), PrecisionRecall.Compute(wide, narrow, 1)); // 0 to 10: the ball around 9.75 reaches 0.75 far
        Assert.Equal(new PrecisionRecall(0.11, 1), PrecisionRecall.Compute(narrow, wide, 1));
    }

    [Fact]
    public void A_ball_reaches_to_the_third_other_point_surface_included()
    {
        float[] reference = [0, 1, 2, 3];  // radii 3, 2, 2, 3
        Assert.Equal(1, PrecisionRecall.Compute(reference, Four(6), 1).Precision);
        Assert.Equal(0, PrecisionRecall.Compute(reference, Four(6.001f), 1).Precision);
        Assert.Equal(0, PrecisionRecall.Compute(reference, Four(5.001f), 1, neighbours: 2).Precision); // radii 2, 1, 1, 2
        Assert.Equal(1, PrecisionRecall.Compute(reference, Four(5), 1, neighbours: 2).Precision);

        static float[] Four(float value) => [value, value, value, value];
    }

    [Theory]
    [InlineData(2_300, 1_200, 3, 0.0)] // several tiles
    [InlineData(700, 2_100, 3, 1000.0)] // far from the origin, where products without a centre would be noise
    [InlineData(40, 9, 5, 0.0)]
    [InlineData(5, 4, 3, 0.0)] // as few as there can be
    public void Tiles_give_what_all_pairs_in_float64_give(int referenceCount, int sampleCount, int neighbours, double mean)
    {
        const int Width = 6;
        var (reference, samples) = (Cloud.Draw(1, referenceCount, Width, mean), Cloud.Draw(2, sampleCount, Width, mean, scale: 1.3));
        var found = PrecisionRecall.Manifolds.Compute(reference, samples, Width, neighbours, TestContext.Current.CancellationToken);
        var plain = Plain([.. reference.Chunk(Width)], [.. samples.Chunk(Width)], neighbours);
        Assert.All(plain.ReferenceRadii.Zip(found.ReferenceRadii), p => Assert.Equal(p.First, p.Second, 1e-12));
        Assert.All(plain.SampleRadii.Zip(found.SampleRadii), p => Assert.Equal(p.First, p.Second, 1e-12));
        Assert.Equal(plain.ReferenceInside, found.ReferenceInside);
        Assert.Equal(plain.SamplesInside, found.SamplesInside);
        Assert.Contains(true, found.SamplesInside);
    }

    [Fact]
    public void Distances_that_float32_cannot_tell_apart_are_told_apart()
    {
        // Two clusters 2e4 apart, so that no centre is near both, with steps of 1 / 512 inside: float32 squares are off by about 16.
        float[] Cluster(float step) => [.. Enumerable.Range(0, 30).SelectMany(i => new[] { -1e4f + (i * step), 1e4f + (i * step) })];
        var (reference, samples) = (Cluster(1 / 512f), Cluster(1 / 256f));
        var found = PrecisionRecall.Manifolds.Compute(reference, samples, 1, 3, TestContext.Current.CancellationToken);
        var plain = Plain([.. reference.Chunk(1)], [.. samples.Chunk(1)], 3);
        Assert.Equal(plain.ReferenceRadii, found.ReferenceRadii);
        Assert.Equal(plain.ReferenceInside, found.ReferenceInside);
        Assert.Equal(plain.SamplesInside, found.SamplesInside);
        Assert.Contains(false, found.SamplesInside);
    }

    [Fact]
    public void A_set_reaches_itself_and_collapsed_samples_reach_next_to_nothing()
    {
        var rows = Cloud.Draw(1, 300, 4);
        Assert.Equal(new PrecisionRecall(1, 1), PrecisionRecall.Compute(rows, rows, 4));
        var collapsed = Enumerable.Repeat(rows[..4], 200).SelectMany(r => r).ToArray();
        Assert.Equal(new PrecisionRecall(1, 1 / 300.0), PrecisionRecall.Compute(rows, collapsed, 4));
    }

    [Fact]
    public void Too_few_rows_and_values_that_cannot_be_compared_are_refused()
    {
        float[] rows = [1, 2, 3, 4, 5];
        Assert.Contains(
            "samples are 3", Assert.Throws<NextPatchException>(() => PrecisionRecall.Compute(rows, rows.AsMemory(0, 3), 1)).Message,
            StringComparison.Ordinal);
        Assert.Throws<NextPatchException>(() => PrecisionRecall.Compute(rows, rows, 2));
        Assert.Throws<NextPatchException>(() => PrecisionRecall.Compute(rows, new[] { 1, 2, 3, float.NaN }, 1));
        Assert.Contains(
            "too large", Assert.Throws<NextPatchException>(() => PrecisionRecall.Compute(rows, new[] { 1, 2, 3, 1e30f }, 1)).Message,
            StringComparison.Ordinal);
    }

    private static PrecisionRecall.Manifolds Plain(float[][] reference, float[][] samples, int neighbours)
    {
        static double Distance(float[] a, float[] b) => a.Zip(b, (x, y) => ((double)x - y) * ((double)x - y)).Sum();
        double[] Radii(float[][] rows) => [.. rows.Select(a => rows.Select(b => Distance(a, b)).Order().ElementAt(neighbours))];
        static bool[] Inside(float[][] points, float[][] centres, double[] radii)
            => [.. points.Select(p => centres.Index().Any(c => Distance(p, c.Item) <= radii[c.Index]))];
        var (referenceRadii, sampleRadii) = (Radii(reference), Radii(samples));
        return new PrecisionRecall.Manifolds(
            referenceRadii, sampleRadii, Inside(reference, samples, sampleRadii), Inside(samples, reference, referenceRadii));
    }
}
