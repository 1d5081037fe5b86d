using NextPatch.Data.Codes;
using NextPatch.Training.Gpt;

namespace NextPatch.Training.Tests.Gpt;

public sealed class BatchSourceTests
{
    [Fact]
    public void Every_epoch_shows_every_training_image_once_and_no_held_out_one()
    {
        using var folder = new TemporaryFolder();
        using var store = CodeStore.Open(TinyRun.WriteCodes(folder["codes"]));
        var source = new BatchSource(store, TinyRun.Model, 3);
        for (var epoch = 0; epoch < 3; epoch++)
        {
            Assert.Equal(Enumerable.Range(0, 32), Enumerable.Range(epoch * 32, 32).Select(p => source.ImageAt(p)).Order());
        }
    }

    [Fact]
    public void No_epoch_has_the_order_of_another()
    {
        using var folder = new TemporaryFolder();
        using var store = CodeStore.Open(TinyRun.WriteCodes(folder["codes"]));
        var source = new BatchSource(store, TinyRun.Model, 3);
        Assert.Equal(
            100, Enumerable.Range(0, 100).Select(epoch => string.Join(",", Enumerable.Range(epoch * 32, 32).Select(p => source.ImageAt(p)))).Distinct().Count());
    }

    [Fact]
    public void A_batch_is_the_same_whole_or_in_parts()
    {
        using var folder = new TemporaryFolder();
        using var store = CodeStore.Open(TinyRun.WriteCodes(folder["codes"]));
        var source = new BatchSource(store, TinyRun.Model, 3);
        var (codes, labels) = (new long[8 * 16], new long[8]);
        source.Fill(100, codes, labels);
        var (tail, tailLabels) = (new long[3 * 16], new long[3]);
        source.Fill(105, tail, tailLabels);
        Assert.Equal(codes[(5 * 16)..], tail);
        Assert.Equal(labels[5..], tailLabels);
    }

    [Fact]
    public void One_label_in_ten_becomes_the_null_class()
    {
        using var folder = new TemporaryFolder();
        using var store = CodeStore.Open(TinyRun.WriteCodes(folder["codes"]));
        var labels = new long[4000];
        new BatchSource(store, TinyRun.Model, 3).Fill(0, new long[4000 * 16], labels);
        Assert.InRange(labels.Count(l => l == 3), 330, 470); // 400 +- 3.7 standard deviations
        new BatchSource(store, TinyRun.Model with { ClassDropout = 0 }, 3).Fill(0, new long[4000 * 16], labels);
        Assert.DoesNotContain(3L, labels);
    }
}
