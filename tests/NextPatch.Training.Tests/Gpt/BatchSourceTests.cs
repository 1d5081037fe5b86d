using NextPatch.Core.Sampling;
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
            100, Enumerable.Range(0, 100).Select(epoch => string.Join(
                ",", Enumerable.Range(epoch * 32, 32).Select(p => source.ImageAt(p)))).Distinct().Count());
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

    /// <summary>Exactly: image, stored variant and dropped label at every place are those of their streams of random numbers.</summary>
    [Fact]
    public void Image_variant_and_dropped_label_follow_from_the_place()
    {
        const int Variants = 5;
        using var folder = new TemporaryFolder();
        var manifest = new CodeManifest
        {
            Name = "v", GridSide = 1, VocabularySize = 12 * Variants, ClassNames = ["a", "b", "c"], Count = 12, Augmentations = Variants,
            HeldOutCount = 2,
        };
        CodeStore.Write(folder["codes"], manifest, [.. Enumerable.Range(0, 12 * Variants)], [.. Enumerable.Range(0, 12).Select(i => i % 3)]);
        using var store = CodeStore.Open(folder["codes"]);
        var source = new BatchSource(store, TinyRun.Model, 9);
        var (codes, labels) = (new long[2000], new long[2000]);
        source.Fill(3, codes, labels);
        var (variants, drops) = (new CounterRandom(9, RandomStream.Augmentation), new CounterRandom(9, RandomStream.LabelDropout));
        for (var place = 3; place < 2003; place++)
        {
            var image = new SeekablePermutation(10, 9, place / 10)[place % 10];
            Assert.Equal((image * Variants) + variants.Below(Variants, place, 0), codes[place - 3]);
            Assert.Equal(drops.Uniform(place, 0) < TinyRun.Model.ClassDropout ? 3 : image % 3, labels[place - 3]);
        }
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
