using NextPatch.Core.Sampling;
using NextPatch.Evaluation.Metrics;

namespace NextPatch.Evaluation.Tests.Metrics;

public sealed class DiversityTests
{
    [Fact]
    public void Mean_pair_distances_are_compared_class_by_class()
    {
        // Class 0: samples 2 apart, real images 3, 4 and 5 apart (mean 4). Class 1: samples 6 apart, real images 4.
        float[] samples = [0, 0, 2, 0, 0, 0, 6, 0];
        float[] real = [0, 0, 3, 0, 0, 4, 1, 1, 5, 1];
        Assert.Equal(((2.0 / 4) + (6.0 / 4)) / 2, Diversity.Ratio(samples, [0, 0, 1, 1], real, [0, 0, 0, 1, 1])!.Value, 1e-12);
    }

    [Fact]
    public void Copies_of_one_sample_have_none_and_another_split_of_real_data_has_all()
    {
        var random = new CounterRandom(1, RandomStream.Evaluation);
        var (real, other) = (Cloud(random, 0), Cloud(random, 1));
        var labels = Enumerable.Range(0, 200).Select(i => i % 4).ToArray();
        Assert.Equal(1, Diversity.Ratio(other, labels, real, labels)!.Value, 0.05);
        var collapsed = labels.SelectMany(l => Enumerable.Repeat((float)l, 8)).ToArray();
        Assert.Equal(0, Diversity.Ratio(collapsed, labels, real, labels));
    }

    [Fact]
    public void Classes_with_fewer_than_two_of_either_do_not_count()
    {
        Assert.Null(Diversity.Ratio([1, 2], [0, 1], [1, 2, 3], [0, 0, 1]));
        Assert.Null(Diversity.Ratio([], [], [1, 2], [0, 0]));
    }

    private static float[] Cloud(CounterRandom random, int index) => [.. Enumerable.Range(0, 200 * 8).Select(i => (float)random.Uniform(index, i))];
}
