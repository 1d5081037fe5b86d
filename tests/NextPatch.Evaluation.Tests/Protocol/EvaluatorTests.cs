using NextPatch.Core;
using NextPatch.Core.Sampling;
using NextPatch.Evaluation.Metrics;
using NextPatch.Evaluation.Networks;
using NextPatch.Evaluation.Protocol;

namespace NextPatch.Evaluation.Tests.Protocol;

[NoTensorLeaks]
public sealed class EvaluatorTests : IDisposable
{
    private readonly TemporaryFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    [Fact]
    public void Figures_are_those_of_the_metrics_on_the_networks_features()
    {
        var network = new FakeNetwork();
        var (reference, samples) =
            (Pictures.Npz(_folder["r.npz"], 40, 4, seed: 1),
            Pictures.Npz(_folder["s.npz"], 30, 4, seed: 2, labels: [.. Enumerable.Range(0, 30).Select(i => i % 3)]));
        FeatureSet a = FeatureSet.Collect(network, reference, keepRows: true), b = FeatureSet.Collect(network, samples, keepRows: true);

        var result = new Evaluator(network, new EvaluationReference(null, a), seed: 5).Measure(samples);

        Assert.Equal(FrechetDistance.Between(a.Pooled, b.Pooled), result.Fd);
        Assert.Equal(FrechetDistance.Between(a.Spatial!, b.Spatial!), result.Sfid);
        Assert.Equal(b.Score!.Compute().Mean, result.InceptionScore);
        Assert.Equal(b.TenSplitScore!.Compute(), (result.InceptionScoreTenSplits, result.InceptionScoreTenSplitsDeviation));
        Assert.NotEqual(result.InceptionScore, result.InceptionScoreTenSplits);
        Assert.Equal(KernelDistance.Compute(a.Rows, b.Rows, 4, 5, 100, 30).Mean, result.Kid);
        Assert.Null(result.Fid);
        var p = result.Protocol;
        Assert.Equal(
            ("fake", "clean", 30, "balanced", "as stored", 30, 40),
            (p.Network, p.Resize, p.Images, p.Labels, p.Rounding, p.KidSubsetSize, p.ReferenceFeatures));
        Assert.Equal(("r.npz", "file", 64), (p.Reference.Name, p.Reference.HashOf, p.Reference.Hash.Length));
        Assert.Equal(new EvaluationSeeds(null, 5), p.Seeds);
    }

    [Fact]
    public void Precision_is_of_the_samples_and_recall_of_the_reference()
    {
        var network = new FakeNetwork();
        using var all = Pictures.Npz(_folder["all.npz"], 60, 2, seed: 1);
        Pictures.Write(_folder["few.npz"], [6, 2, 2, 3], Pictures.AllPixels(all)[..(6 * 12)]);
        using var few = ArrayImageSet.Open(_folder["few.npz"]);

        var result = Measure(network, all, few, EvaluationMetric.Precision, EvaluationMetric.Recall);

        Assert.Equal(1, result.Precision); // every sample is a reference image
        Assert.InRange(result.Recall!.Value, 0.05, 0.95);
    }

    [Fact]
    public void Under_the_FID_Inception_network_alone_the_distance_is_called_FID()
    {
        using var images = Pictures.Npz(_folder["a.npz"], 20, 4);

        var inception = Measure(new FakeNetwork { Name = "inception" }, images, images);
        var other = Measure(new FakeNetwork(), images, images);

        Assert.Equal(inception.Fd, inception.Fid);
        Assert.Equal(0, inception.Fid!.Value, 9);
        Assert.Null(other.Fid);
        var error = Assert.Throws<ConfigException>(() => Measure(new FakeNetwork(), images, images, EvaluationMetric.Fid));
        Assert.Contains("FD-fake", error.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void Only_what_was_asked_for_is_computed()
    {
        using var images = Pictures.Npz(_folder["a.npz"], 20, 4);

        var result = Measure(new FakeNetwork(), images, images, EvaluationMetric.InceptionScore);

        Assert.NotNull(result.InceptionScore);
        Assert.Equal((null, null, null, null, null), (result.Fd, result.Sfid, result.Precision, result.Recall, result.Kid));
    }

    [Theory]
    [InlineData("resnet99", 'a', ResizeProtocol.Clean, 4, false, "features of fake")]
    [InlineData("fake", 'b', ResizeProtocol.Clean, 4, false, "other weights")]
    [InlineData("fake", 'a', ResizeProtocol.Adm, 4, false, "Resize clean")]
    [InlineData("fake", 'a', ResizeProtocol.Clean, 5, false, "5x5 pixels but the reference's images 4x4")]
    [InlineData("fake", 'a', ResizeProtocol.Clean, 4, true, "Every sample is grey")]
    public void Comparisons_that_would_mislead_are_refused(string network, char hash, ResizeProtocol resize, int side, bool grey, string reason)
    {
        using var reference = Pictures.Npz(_folder["r.npz"], 20, 4);
        using var samples = Pictures.Npz(_folder["s.npz"], 20, side, seed: 2, grey);
        StatisticsFile.Write(_folder["r.safetensors"], FeatureSet.Collect(new FakeNetwork(), reference, keepRows: false).ToStored());
        var stored = StatisticsFile.TryRead(_folder["r.safetensors"], null);
        var other = new FakeNetwork { Name = network, WeightsHash = new string(hash, 64), Resize = resize };

        var error = Assert.Throws<ConfigException>(() => new Evaluator(other, new EvaluationReference(stored, null)).Measure(samples));

        Assert.Contains(reason, Assert.Single(error.Problems), StringComparison.Ordinal);
        Assert.Equal(grey ? 20 : 0, other.Seen); // whatever can be known is known before the work
    }

    [Fact]
    public void Statistics_of_another_size_than_the_networks_are_refused()
    {
        var stored = new StoredStatistics { Mean = new double[7], Covariance = new double[49], Images = Origin("fid_stats.npz") };
        using var samples = Pictures.Npz(_folder["s.npz"], 20, 4);

        var error = Assert.Throws<ConfigException>(() => new Evaluator(new FakeNetwork(), new EvaluationReference(stored, null)).Measure(samples));

        Assert.Contains("7 features but fake has 4", error.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void The_published_evaluators_statistics_belong_to_its_resize()
    {
        var stored = new StoredStatistics
        {
            Mean = new double[4], Covariance = new double[16], SpatialMean = new double[2], SpatialCovariance = new double[4],
            Images = Origin("adm.npz"),
        };
        using var samples = Pictures.Npz(_folder["s.npz"], 20, 4);

        Assert.Throws<ConfigException>(() => new Evaluator(new FakeNetwork(), new EvaluationReference(stored, null)).Measure(samples));
        var result = new Evaluator(new FakeNetwork { Resize = ResizeProtocol.Adm }, new EvaluationReference(stored, null)).Measure(samples);

        Assert.Contains(result.Warnings, w => w.Contains("taken on trust", StringComparison.Ordinal));
        Assert.NotNull(result.Sfid);
        Assert.Null(result.Kid); // no images to compare with
    }

    [Fact]
    public void Of_an_archive_with_statistics_and_images_each_serves_its_metrics()
    {
        var network = new FakeNetwork { Resize = ResizeProtocol.Adm };
        using var images = Pictures.Npz(_folder["r.npz"], 20, 4);
        var features = FeatureSet.Collect(network, images, keepRows: true);
        var far = features.ToStored() with { Mean = [9, 9, 9, 9], Features = null };

        var result = new Evaluator(network, new EvaluationReference(far, features)).Measure(images);

        Assert.True(result.Fd > 100);
        Assert.Equal(1, result.Precision);
        Assert.Equal(20, result.Protocol.ReferenceFeatures);
    }

    [Theory]
    [InlineData(float.NaN, "NaN")]
    [InlineData(float.NegativeInfinity, "-Infinity")]
    [InlineData(-1e30f, "-1E+30")]
    public void Features_that_no_trained_network_gives_name_the_image_and_the_weights(float broken, string shown)
    {
        using var images = Pictures.Npz(_folder["a.npz"], 100, 4);

        var error = Assert.Throws<NextPatchException>(
            () => FeatureSet.Collect(new FakeNetwork { BrokenFrom = 70, Broken = broken }, images, keepRows: false));

        Assert.Contains($"{shown} for image 70 of a.npz", error.Message, StringComparison.Ordinal);
        Assert.Contains("weights", error.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void More_features_than_an_array_holds_are_not_kept()
    {
        using var images = new Endless { Name = "train", Layout = "none" };

        var error = Assert.Throws<ConfigException>(() => FeatureSet.Collect(new FakeNetwork(), images, keepRows: true));

        Assert.Contains("Metrics fd,sfid,is", error.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void What_a_network_cannot_give_is_refused_without_a_reference()
    {
        HashSet<EvaluationMetric> asked = [EvaluationMetric.Fid, EvaluationMetric.Sfid, EvaluationMetric.InceptionScore, EvaluationMetric.Kid];

        var error = Assert.Throws<ConfigException>(() => MetricChoice.RequireNetwork(asked, new FakeNetwork { SpatialCount = 0, ClassCount = 0 }));

        Assert.Equal(3, error.Problems.Count);
    }

    [Fact]
    public void A_single_image_is_no_distribution()
    {
        using var images = Pictures.Npz(_folder["a.npz"], 1, 4);

        Assert.Contains(
            "at least 2", Assert.Throws<NextPatchException>(() => FeatureSet.Collect(new FakeNetwork(), images, false)).Message,
            StringComparison.Ordinal);
    }

    [Fact]
    public void Few_images_copies_and_equal_sets_are_warned_about()
    {
        Pictures.Write(_folder["a.npz"], [4, 2, 2, 3], [.. Pictures.Random(3, 2), .. Pictures.Random(3, 2)[..12]]);
        using var images = ArrayImageSet.Open(_folder["a.npz"]);

        var warnings = Measure(new FakeNetwork(), images, images, EvaluationMetric.Fd).Warnings;

        Assert.Contains(warnings, w => w.Contains("fewer than 2,048", StringComparison.Ordinal));
        Assert.Contains(warnings, w => w.Contains("1 of the 4 images of a.npz are exact copies", StringComparison.Ordinal));
        Assert.Contains(warnings, w => w.Contains("the same images", StringComparison.Ordinal));
    }

    [Theory]
    [InlineData("imagenet_val.npz", true)]
    [InlineData("VIRTUAL_imagenet256_labeled.npz", false)]
    public void Generated_images_against_a_validation_part_are_warned_about(string name, bool isWarned)
    {
        using var reference = Pictures.Npz(_folder[name], 20, 4);
        using var stored = Pictures.Npz(_folder["s.npz"], 20, 4, seed: 2);
        using var samples = ArrayImageSet.Open(_folder["s.npz"], drawing: new Drawing(7, new SamplingConfig(), new string('c', 64), "ema"));

        var result = Measure(new FakeNetwork(), reference, samples, EvaluationMetric.Fd);

        Assert.Equal(isWarned, result.Warnings.Any(w => w.Contains("validation part", StringComparison.Ordinal)));
        Assert.Equal(7ul, result.Protocol.Seeds.Samples);
    }

    [Theory]
    [InlineData(new[] { 0, 1, 0, 1 }, "balanced")]
    [InlineData(new[] { 0, 1, 0, 0 }, "random")]
    [InlineData(null, "unknown")]
    public void Labels_are_balanced_random_or_unknown(int[]? labels, string expected)
    {
        using var images = Pictures.Npz(_folder["a.npz"], 4, 4, labels: labels);

        Assert.Equal(expected, Measure(new FakeNetwork(), images, images, EvaluationMetric.Fd).Protocol.Labels);
    }

    [Fact]
    public void Cancelling_stops_between_batches()
    {
        using var images = Pictures.Npz(_folder["a.npz"], 200, 4);
        using var source = new CancellationTokenSource();
        var network = new FakeNetwork();

        Assert.Throws<OperationCanceledException>(() => FeatureSet.Collect(network, images, false, new Stop(source), source.Token));

        Assert.Equal(64, network.Seen);
    }

    [Theory]
    [InlineData("fid,psnr")]
    [InlineData("")]
    [InlineData(",")]
    public void Unknown_metrics_are_answered_with_the_list(string text)
        => Assert.Contains(
            "fd, fid, sfid, is, precision, recall, kid", Assert.Throws<ConfigException>(() => MetricChoice.Parse(text)).Message,
            StringComparison.Ordinal);

    private static EvaluationResult Measure(FakeNetwork network, ImageSet reference, ImageSet samples, params EvaluationMetric[] metrics)
        => new Evaluator(
            network, new EvaluationReference(null, FeatureSet.Collect(network, reference, keepRows: true)),
            metrics.Length == 0 ? null : metrics.ToHashSet()).Measure(samples);

    private static ImageOrigin Origin(string name) => new() { Name = name, Layout = "statistics", Hash = new string('0', 64), HashOf = "file" };

    private sealed class Endless : ImageSet
    {
        public override int Count => 1 << 29;

        public override (int Height, int Width) Size => (4, 4);

        public override IEnumerable<ImageBatch> Read(CancellationToken cancellation = default)
            => throw new InvalidOperationException("read although they are too many");
    }

    private sealed class Stop(CancellationTokenSource source) : IProgress<int>
    {
        public void Report(int value) => source.Cancel();
    }
}
