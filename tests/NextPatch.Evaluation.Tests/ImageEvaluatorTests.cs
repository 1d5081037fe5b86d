using NextPatch.Cli.Tests;
using NextPatch.Core;
using NextPatch.Core.Generation;
using NextPatch.Core.Sampling;
using NextPatch.Evaluation.Protocol;
using NextPatch.Evaluation.Tests.Protocol;
using NextPatch.Sampling;

namespace NextPatch.Evaluation.Tests;

[NoTensorLeaks]
public sealed class ImageEvaluatorTests : IDisposable
{
    private const int Side = 8;
    private readonly TemporaryFolder _folder = new();
    private readonly ImageEvaluationOptions _options;
    private readonly string _reference;

    public ImageEvaluatorTests()
    {
        _options = new() { Weights = SmallResNet.Write(_folder["net.safetensors"]), Metrics = new HashSet<EvaluationMetric> { EvaluationMetric.Fd } };
        _reference = Images("reference", 70, seed: 1);
    }

    public void Dispose() => _folder.Dispose();

    [Fact]
    public void An_archive_and_a_folder_of_the_same_images_are_equally_far_from_a_reference()
    {
        var pixels = Pictures.Random(60, Side, seed: 2);
        Directory.CreateDirectory(_folder["folder"]);
        for (var i = 0; i < 60; i++)
        {
            var image = new Core.Imaging.RgbImage(Side, Side, pixels[(i * Side * Side * 3)..((i + 1) * Side * Side * 3)]);
            File.WriteAllBytes(_folder[$"folder/{i:D3}.png"], Core.Imaging.PngWriter.Encode(image));
        }

        var archive = ImageEvaluator.Measure(Images("samples", 60, seed: 2), _reference, _options);
        var folder = ImageEvaluator.Measure(_folder["folder"], _reference, _options);

        Assert.True(archive.Fd > 0);
        Assert.Equal(archive.Fd!.Value, folder.Fd!.Value, 6);
        Assert.Null(archive.Fid);
        Assert.Equal(0, ImageEvaluator.Measure(_reference, _reference, _options).Fd!.Value, 4);
    }

    /// <summary>In either direction, and also where the reference is statistics: before any image goes through the network.</summary>
    [Fact]
    public void Grey_against_colour_is_refused_before_the_work()
    {
        var grey = _folder["grey.npz"];
        Pictures.Npz(grey, 70, Side, seed: 3, grey: true).Dispose();
        var done = new List<string>();
        var progress = new Watch(p => done.Add(p.Work));
        foreach (var (samples, reference) in new[] { (grey, _reference), (_reference, grey) })
        {
            Assert.Contains(
                "is grey", Assert.Throws<ConfigException>(() => ImageEvaluator.Measure(samples, reference, _options, progress)).Message,
                StringComparison.Ordinal);
        }

        Assert.Empty(done);
        ImageEvaluator.SaveStatistics(_reference, _folder["colours.safetensors"], _options);
        Assert.Throws<ConfigException>(() => ImageEvaluator.Measure(grey, _folder["colours.safetensors"], _options, progress));
        Assert.Empty(done);
        Assert.True(ImageEvaluator.Measure(grey, grey, _options, progress).Fd >= 0);
    }

    [Fact]
    public void Statistics_stand_for_the_images_that_they_were_made_of()
    {
        var samples = Images("samples", 60, seed: 2);
        var notes = new List<string>();

        ImageEvaluator.SaveStatistics(_reference, _folder["made/statistics.safetensors"], _options with { OnNote = notes.Add });

        Assert.Contains("Statistics of 70 images", Assert.Single(notes), StringComparison.Ordinal);
        Assert.Equal(
            ImageEvaluator.Measure(samples, _reference, _options).Fd!.Value,
            ImageEvaluator.Measure(samples, _folder["made/statistics.safetensors"], _options).Fd!.Value, 6);
        Assert.Contains(
            "SaveStatistics s.npz must end in .safetensors",
            Assert.Throws<ConfigException>(() => ImageEvaluator.SaveStatistics(_reference, "s.npz", _options)).Message, StringComparison.Ordinal);
    }

    [Fact]
    public void A_model_draws_what_the_sampler_draws()
    {
        var path = SmallModel.Write(_folder);
        using (var model = SampleModel.Load(path))
        {
            int[] labels = [.. Enumerable.Range(0, 10).Select(i => i % 3)];
            var request = new GenerationRequest { Labels = labels, Seed = 4, Sampling = new SamplingConfig { TopK = 9 } };
            new SampleWriter(model).Write(_folder["drawn"], null, request, progress: null, CancellationToken.None);
        }

        var options = _options with { Drawing = new() { Count = 10, Seed = 4, TopK = 9 } };
        var measured = ImageEvaluator.Measure(path, _reference, options);

        Assert.Equal(ImageEvaluator.Measure(_folder["drawn"], _reference, _options).Fd, measured.Fd);
        Assert.Equal(4ul, measured.Protocol.Seeds.Samples);
        var uncounted = Assert.Throws<ConfigException>(() => ImageEvaluator.Measure(path, _reference, _options));
        Assert.StartsWith("Count is missing", uncounted.Message, StringComparison.Ordinal);
        var turned = Assert.Throws<ConfigException>(() => ImageEvaluator.Measure(_reference, path, _options));
        Assert.Contains("it is no reference", turned.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void Progress_begins_at_nothing_and_ends_with_all()
    {
        var reports = new Reports();

        ImageEvaluator.Measure(Images("samples", 65, seed: 2), _reference, _options, reports);

        Assert.Equal([new("Reference, resnet8", 0, 70), new("Reference, resnet8", 64, 70), new("Reference, resnet8", 70, 70)], reports.All.Take(3));
        Assert.Equal([new("Samples, resnet8", 0, 65), new("Samples, resnet8", 64, 65), new("Samples, resnet8", 65, 65)], reports.All.Skip(3));
    }

    [Fact]
    public void A_cancelled_evaluation_ends()
    {
        using var cancellation = new CancellationTokenSource();
        cancellation.Cancel();

        Assert.ThrowsAny<OperationCanceledException>(
            () => ImageEvaluator.Measure(_reference, _reference, _options, cancellation: cancellation.Token));
    }

    [Fact]
    public void A_metric_measures_what_an_engine_draws()
    {
        var path = SmallModel.Write(_folder);
        var options = _options with { Metrics = null, Drawing = new() { Count = 10, Seed = 4 } };
        using var metric = ImageEvaluator.OpenMetric(_reference, _folder["tokenizer"], options);
        using var model = SampleModel.Load(path);

        var figures = metric.Measure(model.Engine, CancellationToken.None);

        var measured = ImageEvaluator.Measure(path, _reference, _options with { Drawing = new() { Count = 10, Seed = 4 } });
        Assert.Equal(measured.Fd, Assert.Single(figures, f => f.Key == "fd-resnet8").Value);
        Assert.Single(figures);
    }

    private string Images(string name, int count, int seed)
    {
        Pictures.Write(_folder[name + ".npz"], [count, Side, Side, 3], Pictures.Random(count, Side, seed));
        return _folder[name + ".npz"];
    }

    private sealed class Reports : IProgress<EvaluationProgress>
    {
        public List<EvaluationProgress> All { get; } = [];

        public void Report(EvaluationProgress value) => All.Add(value);
    }

    private sealed class Watch(Action<EvaluationProgress> seen) : IProgress<EvaluationProgress>
    {
        public void Report(EvaluationProgress value) => seen(value);
    }
}
