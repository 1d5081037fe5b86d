using System.Text.Json;
using System.Text.Json.Nodes;
using NextPatch.Cli.CommandLine;
using NextPatch.Core.Checkpoints.Numpy;
using NextPatch.Core.Checkpoints.Safetensors;
using NextPatch.Core.Imaging;
using NextPatch.Core.Tensors;

namespace NextPatch.Cli.Tests.Commands;

[NoTensorLeaks]
public sealed partial class EvaluateCommandTests : IDisposable
{
    private const int Side = 8;
    private readonly TemporaryFolder _folder = new();
    private readonly string _weights;
    private readonly string _reference;

    public EvaluateCommandTests()
    {
        _weights = SmallResNet.Write(_folder["net.safetensors"]);
        _reference = WriteImages("reference.npz", 90, seed: 1);
    }

    public void Dispose() => _folder.Dispose();

    [Fact]
    public async Task Figures_protocol_and_warnings_come_as_JSON()
    {
        var run = await Evaluate("--samples", WriteImages("samples.npz", 80, seed: 2), "--json");

        Assert.True(run.ExitCode == ExitCode.Success, run.Error);
        var (result, protocol) = (run.Json, run.Json.GetProperty("protocol"));
        Assert.All(["fd", "inceptionScore", "precision", "recall", "kid"],
            name => Assert.True(double.IsFinite(result.GetProperty(name).GetDouble())));
        Assert.False(result.TryGetProperty("fid", out _));
        Assert.Equal(
            (SmallResNet.Name, "clean", 80, "unknown", "reference.npz", "as stored"),
            (protocol.GetProperty("network").GetString(), protocol.GetProperty("resize").GetString(), protocol.GetProperty("images").GetInt32(),
                protocol.GetProperty("labels").GetString(), protocol.GetProperty("reference").GetProperty("name").GetString(),
                    protocol.GetProperty("rounding").GetString()));
        Assert.Equal(64, protocol.GetProperty("weightsHash").GetString()!.Length);
        Assert.Contains("fewer than 2,048", result.GetProperty("warnings")[0].GetString(), StringComparison.Ordinal);
        Assert.Contains("Warning: samples.npz has 80 images", run.Error, StringComparison.Ordinal);
        Assert.Contains("Samples, resnet8 0/80", run.Error, StringComparison.Ordinal); // before the first batch, which may take minutes
        Assert.Contains("Computing the precision and recall of 80 images", run.Error, StringComparison.Ordinal);
    }

    /// <summary>150 samples and 90 reference images are five batches of at most 64, among three processes.</summary>
    [Fact]
    public async Task People_read_the_networks_name_in_the_figures()
    {
        var run = await Evaluate("--samples", _reference);

        Assert.True(run.ExitCode == ExitCode.Success, run.Error);
        Assert.Matches(@"FD-resnet8 +0\.0000", run.Output);
        Assert.Matches(@"KID-resnet8 .*\(\d+ subsets of \d+ images\)", run.Output);
        Assert.Contains("IS-resnet8", run.Output, StringComparison.Ordinal);
        Assert.DoesNotContain("FID", run.Output, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_model_evaluated_directly_gives_the_figures_of_its_samples_on_disk()
    {
        var model = SmallModel.Write(_folder);
        var sample = await CommandLine.RunAsync("sample", "--model", model, "--count", "66", "--balanced", "--seed", "3", "--output", _folder["out"]);
        Assert.True(sample.ExitCode == ExitCode.Success, sample.Error);

        var direct = await Evaluate("--samples", model, "--count", "66", "--seed", "3", "--json");
        var stored = await Evaluate("--samples", _folder["out"], "--seed", "3", "--json");

        Assert.True(direct.ExitCode == ExitCode.Success, direct.Error);
        Assert.True(stored.ExitCode == ExitCode.Success, stored.Error);
        Assert.Equal(direct.Json.GetProperty("fd").GetDouble(), stored.Json.GetProperty("fd").GetDouble());
        Assert.Equal(direct.Json.GetProperty("kid").GetDouble(), stored.Json.GetProperty("kid").GetDouble());
        Assert.All([direct, stored], run => Assert.Equal("balanced", run.Json.GetProperty("protocol").GetProperty("labels").GetString()));
        Assert.All([direct, stored], run => Assert.Equal(3, run.Json.GetProperty("protocol").GetProperty("seeds").GetProperty("samples").GetInt32()));
        Assert.All([direct, stored], run => Assert.Equal(
            "truncate(127.5 x + 128)", run.Json.GetProperty("protocol").GetProperty("rounding").GetString()));
    }

    [Fact]
    public async Task Balanced_samples_are_called_so_where_classes_have_no_names()
    {
        var model = SmallModel.Write(_folder);
        var config = Path.Combine(model, "step-00000005/config.json");
        var nameless = JsonNode.Parse(await File.ReadAllTextAsync(config))!.AsObject();
        nameless.Remove("classNames");
        await File.WriteAllTextAsync(config, nameless.ToJsonString());
        var sample = await CommandLine.RunAsync("sample", "--model", model, "--count", "66", "--balanced", "--output", _folder["out"]);
        Assert.True(sample.ExitCode == ExitCode.Success, sample.Error);
        var stored = await Evaluate("--samples", _folder["out"], "--json");
        Assert.Equal("balanced", stored.Json.GetProperty("protocol").GetProperty("labels").GetString());
    }

    [Fact]
    public async Task Images_of_prompts_have_no_classes_that_could_be_balanced()
    {
        var model = SmallModel.Write(_folder, takesPrompts: true);
        File.WriteAllText(_folder["prompts.txt"], "a star\na heart\n");
        var sample = await CommandLine.RunAsync(
            "sample", "--model", model, "--prompts", _folder["prompts.txt"], "--count", "66", "--seed", "3", "--output", _folder["out"]);
        Assert.True(sample.ExitCode == ExitCode.Success, sample.Error);

        var stored = await Evaluate("--samples", _folder["out"], "--json");

        Assert.True(stored.ExitCode == ExitCode.Success, stored.Error);
        Assert.Equal("unknown", stored.Json.GetProperty("protocol").GetProperty("labels").GetString());
    }

    [Fact]
    public async Task Saved_statistics_serve_as_reference()
    {
        var samples = WriteImages("samples.npz", 70, seed: 2);
        var saved = await Evaluate("--save-statistics", _folder["new/r.safetensors"]);
        File.Move(_folder["new/r.safetensors"], _folder["r.safetensors"]);
        Assert.True(saved.ExitCode == ExitCode.Success, saved.Error);
        var fromImages = await Evaluate("--samples", samples, "--metrics", "fd", "--json");
        var fromStatistics = await CommandLine
            .RunAsync("evaluate", "--reference", _folder["r.safetensors"], "--weights", _weights, "--samples", samples, "--json");

        Assert.Equal(fromImages.Json.GetProperty("fd").GetDouble(), fromStatistics.Json.GetProperty("fd").GetDouble(), 9);
        Assert.False(fromStatistics.Json.TryGetProperty("kid", out _));
        Assert.Equal(90, fromStatistics.Json.GetProperty("protocol").GetProperty("reference").GetProperty("images").GetInt32());
        var other = await CommandLine.RunAsync(
            "evaluate", "--reference", _folder["r.safetensors"], "--weights", SmallResNet.Write(_folder["other.safetensors"], 0.5f), "--samples",
            samples);
        Assert.Equal(ExitCode.Usage, other.ExitCode);
        Assert.Contains("other weights of resnet8", other.Error, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_folder_of_images_must_match_the_reference_in_size()
    {
        Directory.CreateDirectory(_folder["png"]);
        for (var i = 0; i < 12; i++)
        {
            var image = new RgbImage(10, 10);
            new Random(i).NextBytes(image.Pixels);
            File.WriteAllBytes(_folder[$"png/{i}.png"], PngWriter.Encode(image));
        }

        var refused = await Evaluate("--samples", _folder["png"], "--metrics", "fd");
        var cropped = await Evaluate("--samples", _folder["png"], "--metrics", "fd", "--image-size", "8");

        Assert.Equal(ExitCode.Usage, refused.ExitCode);
        Assert.Contains("10x10 pixels but the reference's images 8x8", refused.Error, StringComparison.Ordinal);
        Assert.True(cropped.ExitCode == ExitCode.Success, cropped.Error);
    }

    [Fact]
    public async Task Damaged_files_and_wrong_weights_are_named()
    {
        var samples = WriteImages("samples.npz", 70, seed: 2);
        var bytes = File.ReadAllBytes(samples);
        bytes[5000] ^= 1;
        File.WriteAllBytes(_folder["damaged.npz"], bytes);
        File.WriteAllBytes(_folder["cut.npz"], bytes[..5000]);
        SafetensorsFile.Write(_folder["wrong.safetensors"], [KeyValuePair.Create("weight", HostTensor.FromSingles([1], [1]))]);
        Directory.CreateDirectory(_folder["empty"]);

        foreach (var (path, reason) in new[] { ("damaged.npz", "checksum"), ("cut.npz", "cut.npz"), ("empty", "empty"), ("missing", "missing") })
        {
            var run = await Evaluate("--samples", _folder[path], "--metrics", "fd");
            Assert.Equal(ExitCode.Failure, run.ExitCode);
            Assert.Contains(reason, run.Error, StringComparison.Ordinal);
        }

        var wrong = await CommandLine.RunAsync(
            "evaluate", "--reference", _reference, "--weights", _folder["wrong.safetensors"], "--samples", samples);
        Assert.Equal(ExitCode.Failure, wrong.ExitCode);
        Assert.Contains("wrong.safetensors", wrong.Error, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("--metrics", "fid", "FD-resnet8")]
    [InlineData("--metrics", "psnr", "'psnr' is no metric")]
    [InlineData("--image-size", "0", "--image-size 0")]
    [InlineData("--image-size", "8", "--image-size 8 would crop the images of a dataset")]
    [InlineData("--network", "vgg", "vgg")]
    [InlineData("--save-statistics", "s.npz", ".safetensors")]
    [InlineData("--resize", "7", "'7'")]
    [InlineData("--count", "5", "--count would say how a model draws")]
    [InlineData("--top-k", "5", "--top-k would say how a model draws")]
    [InlineData("--samples-part", "val", "'val'")]
    public async Task Settings_that_cannot_work_are_usage_errors(string option, string value, string reason)
    {
        var run = await Evaluate("--samples", _reference, option, value);

        Assert.Equal(ExitCode.Usage, run.ExitCode);
        Assert.Contains(reason, run.Error, StringComparison.Ordinal);
    }

    [Fact]
    public async Task What_the_network_cannot_give_is_refused_before_the_reference_is_read()
    {
        var run = await Evaluate("--samples", _reference, "--metrics", "fid");

        Assert.Equal(ExitCode.Usage, run.ExitCode);
        Assert.DoesNotContain("Reference, resnet8", run.Error, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_reference_with_statistics_still_has_the_size_of_its_images()
    {
        var pixels = new byte[20 * 16 * 16 * 3];
        new Random(5).NextBytes(pixels);
        using (var archive = new NpzWriter(_folder["adm.npz"]))
        {
            archive.Add("arr_0", new HostTensor(ElementType.UInt8, [20, 16, 16, 3], pixels));
            archive.Add("mu", HostTensor.From<double>(ElementType.Float64, [64], new double[64]));
            archive.Add("sigma", HostTensor.From<double>(ElementType.Float64, [64, 64], new double[64 * 64]));
        }

        var run = await CommandLine.RunAsync(
            "evaluate", "--samples", _reference, "--reference", _folder["adm.npz"], "--weights", _weights, "--metrics", "fd");

        Assert.Equal(ExitCode.Usage, run.ExitCode);
        Assert.Contains("8x8 pixels but the reference's images 16x16", run.Error, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Samples_in_the_published_layout_keep_their_protocol()
    {
        var model = SmallModel.Write(_folder);
        var sample = await CommandLine.RunAsync(
            "sample", "--model", model, "--count", "12", "--balanced", "--seed", "3", "--layout", "published", "--image-size-eval", "6",
            "--antialias", "--output", _folder["out"]);
        Assert.True(sample.ExitCode == ExitCode.Success, sample.Error);

        var run = await CommandLine.RunAsync(
            "evaluate", "--samples", Directory.GetFiles(_folder["out"], "*.npz").Single(), "--reference",
            Directory.GetDirectories(_folder["out"]).Single(), "--weights", _weights, "--json");

        Assert.True(run.ExitCode == ExitCode.Success, run.Error);
        var protocol = run.Json.GetProperty("protocol");
        Assert.Equal(("balanced", 3), (protocol.GetProperty("labels").GetString(), protocol.GetProperty("seeds").GetProperty("samples").GetInt32()));
        Assert.Equal("truncate(127.5 x + 128), then bicubic, antialiased from 8 to 6", protocol.GetProperty("rounding").GetString());
        Assert.Equal(0, run.Json.GetProperty("fd").GetDouble(), 6); // its own PNG files
    }

    [Fact]
    public async Task A_model_needs_a_count_and_is_no_reference()
    {
        var model = SmallModel.Write(_folder);

        var uncounted = await Evaluate("--samples", model);
        var part = await Evaluate("--samples", model, "--count", "6", "--samples-part", "test");
        var reference = await CommandLine.RunAsync("evaluate", "--reference", model, "--weights", _weights, "--samples", _reference);

        Assert.Contains("--count is missing", uncounted.Error, StringComparison.Ordinal);
        Assert.Contains("no reference", reference.Error, StringComparison.Ordinal);
        Assert.Contains("no part 'test'", part.Error, StringComparison.Ordinal);
        Assert.Equal((ExitCode.Usage, ExitCode.Usage, ExitCode.Usage), (uncounted.ExitCode, reference.ExitCode, part.ExitCode));
    }

    [Fact]
    public async Task Training_measures_its_averaged_weights_on_the_way()
    {
        SmallCodes.Write(_folder["codes"], _folder["tokenizer"], gridSide: 2, count: 20);
        string[] train = ["train", "--codes", _folder["codes"], "--output", _folder["run"], "--preset", "tiny", "--steps", "4", "--batch-size", "4",
            "--precision", "fp32", "--evaluate-every", "2"];

        var run = await CommandLine.RunAsync([.. train, "--evaluate-count", "6", "--reference", _reference, "--weights", _weights]);
        var unreferenced = await CommandLine.RunAsync(train);

        Assert.True(run.ExitCode == ExitCode.Success, run.Error);
        var measured = File.ReadLines(_folder["run/metrics.jsonl"]).Where(l => l.Contains("fd-resnet8", StringComparison.Ordinal))
            .Select(l => JsonDocument.Parse(l).RootElement).ToList();
        Assert.Equal([2, 4], measured.Select(l => l.GetProperty("step").GetInt32()));
        Assert.All(measured, l => Assert.Equal("ema", l.GetProperty("weights").GetString()));
        Assert.Contains("FD-resnet8", run.Error, StringComparison.Ordinal);
        Assert.Equal(ExitCode.Usage, unreferenced.ExitCode);
        Assert.Contains("--reference", unreferenced.Error, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Drawn_classes_are_those_of_the_samples_on_disk()
    {
        var model = SmallModel.Write(_folder);
        var sample = await CommandLine.RunAsync(
            "sample", "--model", model, "--count", "40", "--random-classes", "--seed", "3", "--output", _folder["out"]);
        Assert.True(sample.ExitCode == ExitCode.Success, sample.Error);

        var direct = await Evaluate("--samples", model, "--count", "40", "--random-classes", "--seed", "3", "--metrics", "fd", "--json");
        var stored = await Evaluate("--samples", _folder["out"], "--seed", "3", "--metrics", "fd", "--json");

        Assert.Equal(direct.Json.GetProperty("fd").GetDouble(), stored.Json.GetProperty("fd").GetDouble());
        Assert.Equal("random", direct.Json.GetProperty("protocol").GetProperty("labels").GetString());
        var labels = JsonDocument.Parse(File.ReadAllText(_folder["out/samples.json"])).RootElement.GetProperty("labels").EnumerateArray()
            .Select(l => l.GetInt32()).ToList();
        Assert.Equal([0, 1, 2], labels.Distinct().Order());
        Assert.NotEqual(Enumerable.Range(0, 40).Select(i => i % 3), labels);
    }

    private Task<CommandLine> Evaluate(params string[] options)
        => CommandLine.RunAsync(["evaluate", "--reference", _reference, "--weights", _weights, .. options]);

    private string WriteImages(string name, int count, int seed) => SmallResNet.WriteImages(_folder[name], count, Side, seed);
}
