using NextPatch.Core;
using NextPatch.Evaluation.Metrics;

namespace NextPatch.Evaluation.Tests.Metrics;

public sealed class InceptionScoreTests
{
    [Fact]
    public void It_is_the_number_of_classes_where_each_image_is_sure_of_another_and_one_where_all_are_unsure()
    {
        var (sure, unsure) = (new InceptionScore(4), new InceptionScore(4));
        for (var i = 0; i < 40; i++)
        {
            sure.AddLogits([.. Enumerable.Range(0, 4).Select(c => c == i % 4 ? 5_000f : -5_000f)]); // the others underflow to zero
            unsure.AddLogits([7, 7, 7, 7]);
        }

        Assert.Equal(4, sure.Compute().Mean, 1e-12);
        Assert.Equal(1, unsure.Compute().Mean, 1e-12);
        Assert.Equal(40, sure.Count);
    }

    [Theory]
    [InlineData(50, new[] { 0, 50, 100, 103 })]
    [InlineData(5_000, new[] { 0, 103 })]
    public void Splits_of_a_size_are_the_evaluators_and_the_last_counts_as_much(int size, int[] bounds)
    {
        var logits = Cloud.Draw(1, 103, 6, scale: 4);
        var score = new InceptionScore(6, size);
        score.AddLogits(logits);
        Expect(logits, bounds, score);
    }

    [Fact]
    public void Ten_splits_hold_whatever_there_is()
    {
        var logits = Cloud.Draw(1, 103, 6, scale: 4);
        var score = InceptionScore.InTenSplits(6, 103);
        score.AddLogits(logits);
        Expect(logits, [.. Enumerable.Range(0, 11).Select(k => k * 103 / 10)], score);
    }

    [Fact]
    public void Two_parts_merged_equal_the_whole()
    {
        var logits = Cloud.Draw(3, 90, 6, scale: 4);
        var (whole, first, second) = (new InceptionScore(6, 40), new InceptionScore(6, 40), new InceptionScore(6, 40, first: 55));
        whole.AddLogits(logits);
        first.AddLogits(logits.AsSpan(0, 55 * 6));
        second.AddLogits(logits.AsSpan(55 * 6));
        first.Merge(second);
        Assert.Equal(whole.Count, first.Count);
        Assert.Equal(whole.Compute().Mean, first.Compute().Mean, 1e-12);
        Assert.Equal(whole.Compute().StandardDeviation, first.Compute().StandardDeviation, 1e-12);
    }

    [Fact]
    public void What_is_no_score_is_refused()
    {
        var score = new InceptionScore(3);
        Assert.Throws<NextPatchException>(() => score.Compute());
        Assert.Throws<NextPatchException>(() => score.AddLogits([1, 2, float.NaN]));
        Assert.Throws<NextPatchException>(() => score.AddLogits([1, 2]));
        Assert.Throws<NextPatchException>(() => score.Merge(new InceptionScore(4)));
        Assert.Throws<NextPatchException>(() => InceptionScore.InTenSplits(3, 9));
    }

    private static void Expect(float[] logits, int[] bounds, InceptionScore score)
    {
        var rows = logits.Chunk(6).Select(Softmax).ToArray();
        var scores = bounds.Zip(bounds.Skip(1), (from, to) => Plain(rows[from..to])).ToArray();
        Assert.Equal(scores.Average(), score.Compute().Mean, 1e-10);
        Assert.Equal(Math.Sqrt(scores.Average(s => Math.Pow(s - scores.Average(), 2))), score.Compute().StandardDeviation, 1e-9);
    }

    private static double Plain(double[][] rows)
    {
        var mean = Enumerable.Range(0, rows[0].Length).Select(c => rows.Average(r => r[c])).ToArray();
        return Math.Exp(rows.Average(r => r.Select((p, c) => p * Math.Log(p / mean[c])).Sum()));
    }

    private static double[] Softmax(float[] row)
    {
        var sum = row.Sum(v => Math.Exp(v));
        return [.. row.Select(v => Math.Exp(v) / sum)];
    }
}
