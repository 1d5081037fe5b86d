using NextPatch.Cli.CommandLine;
using NextPatch.Core.Checkpoints;
using NextPatch.Core.Checkpoints.Numpy;
using NextPatch.Core.Checkpoints.PyTorch;
using NextPatch.Core.Checkpoints.Safetensors;
using NextPatch.Core.Configuration;
using NextPatch.Core.Tensors;

namespace NextPatch.Cli.Tests.Commands;

[NoTensorLeaks]
public sealed class ConvertCommandTests
{
    [Theory]
    [InlineData("out.pt")]
    [InlineData("out.pth")]
    [InlineData("out.safetensors")]
    [InlineData("out.npz")]
    [InlineData("out")]
    public async Task Weights_come_back_bit_for_bit_from_every_format(string name)
    {
        using var folder = new TemporaryFolder();
        var source = PublishedModel.Write(folder["source.pt"]);

        var run = await CommandLine.RunAsync("convert", source, folder[name], "--weights", "model");
        var back = await CommandLine.RunAsync("convert", folder[name], folder["back.safetensors"]);

        Assert.True(run.ExitCode == ExitCode.Success && back.ExitCode == ExitCode.Success, run.Error + back.Error);
        Assert.Matches(@"weights\s+model", run.Output);
        Assert.Contains(folder[name], run.Output, StringComparison.Ordinal);
        AssertSame(Read(source, WeightsKind.Model), SafetensorsFile.Read(folder["back.safetensors"]));
        Assert.DoesNotContain(Directory.GetFileSystemEntries(folder.Path), e => e.EndsWith(".partial", StringComparison.Ordinal));
    }

    [Fact]
    public async Task The_average_is_taken_where_there_is_one_and_said_in_the_file()
    {
        using var folder = new TemporaryFolder();
        var source = PublishedModel.Write(folder["source.pt"]);

        var run = await CommandLine.RunAsync("convert", source, folder["out.safetensors"]);

        Assert.Matches(@"weights\s+ema", run.Output);
        AssertSame(Read(source, WeightsKind.Ema), SafetensorsFile.Read(folder["out.safetensors"]));
        var metadata = SafetensorsFile.ReadHeader(folder["out.safetensors"]).Metadata;
        Assert.Equal(("pt", "ema", "70"), (metadata["format"], metadata["weights"], metadata["step"]));
    }

    [Fact]
    public async Task A_run_converts_and_its_step_comes_along()
    {
        using var folder = new TemporaryFolder();
        var model = SmallModel.Write(folder);

        var run = await CommandLine.RunAsync("convert", model, folder["out.safetensors"], "--weights", "model");

        Assert.True(run.ExitCode == ExitCode.Success, run.Error);
        AssertSame(SafetensorsFile.Read(folder["model/step-00000005/model.safetensors"]), SafetensorsFile.Read(folder["out.safetensors"]));
        Assert.Equal("5", SafetensorsFile.ReadHeader(folder["out.safetensors"]).Metadata["step"]);
    }

    [Fact]
    public async Task What_goes_to_PyTorch_is_called_model()
    {
        using var folder = new TemporaryFolder();

        await CommandLine.RunAsync("convert", PublishedModel.Write(folder["source.pt"]), folder["out.pt"]);

        var content = (Dictionary<object, object?>)PyTorchFile.Read(folder["out.pt"])!;
        Assert.Equal(["model"], content.Keys);
    }

    [Theory]
    [InlineData("f32", ElementType.Float32)]
    [InlineData("bf16", ElementType.BFloat16)]
    [InlineData("f16", ElementType.Float16)]
    [InlineData("keep", ElementType.Float64)]
    public async Task Only_fractions_change_their_type(string name, ElementType expected)
    {
        using var folder = new TemporaryFolder();
        using (var archive = new NpzWriter(folder["in.npz"]))
        {
            archive.Add("reals", HostTensor.From<double>(ElementType.Float64, [3], [1.5, -2, 0.25]));
            archive.Add("codes", HostTensor.From<ushort>(ElementType.UInt16, [2], [7, 9]));
        }

        var run = await CommandLine.RunAsync("convert", folder["in.npz"], folder["out.safetensors"], "--dtype", name);

        Assert.True(run.ExitCode == ExitCode.Success, run.Error);
        var result = SafetensorsFile.Read(folder["out.safetensors"]);
        Assert.Equal((expected, ElementType.UInt16), (result["reals"].Type, result["codes"].Type));
        Assert.Equal([7, 9], result["codes"].ToInt64());
        Assert.Equal([1.5f, -2, 0.25f], result["reals"].ToSingles());
    }

    [Fact]
    public async Task A_single_array_converts_under_its_files_name()
    {
        using var folder = new TemporaryFolder();
        NpyFile.Write(folder["codes.npy"], HostTensor.From<int>(ElementType.Int32, [2], [3, 4]));

        await CommandLine.RunAsync("convert", folder["codes.npy"], folder["out.npz"]);

        Assert.Equal([3, 4], NpzFile.Read(folder["out.npz"])["codes"].ToInt64());
    }

    [Fact]
    public async Task A_tokenizer_converts_like_any_weights()
    {
        using var folder = new TemporaryFolder();
        SmallModel.Write(folder);

        var run = await CommandLine.RunAsync("convert", folder["tokenizer"], folder["vq.pt"]);

        Assert.True(run.ExitCode == ExitCode.Success, run.Error);
        AssertSame(SafetensorsFile.Read(folder["tokenizer/model.safetensors"]), PyTorchFile.ReadStateDict(folder["vq.pt"]));
    }

    [Fact]
    public async Task A_folder_has_configuration_card_and_tokenizer_and_can_be_sampled()
    {
        using var folder = new TemporaryFolder();
        var model = SmallModel.Write(folder);

        var run = await CommandLine.RunAsync("convert", model, folder["hub/small"], "--license", "mit");
        var sampled = await CommandLine
            .RunAsync("sample", "--model", folder["hub/small"], "--count", "2", "--class", "star", "--output", folder["out"]);
        var original = await CommandLine.RunAsync("sample", "--model", model, "--count", "2", "--class", "star", "--output", folder["original"]);

        Assert.True(run.ExitCode == ExitCode.Success && sampled.ExitCode == ExitCode.Success, run.Error + sampled.Error + original.Error);
        Assert.Equal(
            ["README.md", "config.json", "model.safetensors"],
            Directory.GetFiles(folder["hub/small"]).Select(Path.GetFileName).Order(StringComparer.Ordinal));
        Assert.True(File.Exists(folder["hub/small/tokenizer/model.safetensors"]));
        Assert.Equal(SmallModel.ClassNames, ConfigJson.Read(folder["hub/small/config.json"], ConfigJson.Default.CheckpointConfig).ClassNames);
        Assert.Equal(
            NpzFile.Read(folder["original/samples.npz"])["arr_0"].Bytes.ToArray(), NpzFile.Read(folder["out/samples.npz"])["arr_0"].Bytes.ToArray());
        var card = await File.ReadAllTextAsync(folder["hub/small/README.md"]);
        Assert.StartsWith(
            "---\nlicense: mit\nlibrary_name: nextpatch\npipeline_tag: unconditional-image-generation\n", card, StringComparison.Ordinal);
        Assert.Contains("circle, star, 7", card, StringComparison.Ordinal);
        Assert.Contains("GPT-tiny", card, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_folder_of_numbered_files_in_bf16_is_a_model_too()
    {
        using var folder = new TemporaryFolder();
        var source = PublishedModel.Write(folder["source.pt"], classCount: 1000);

        var run = await CommandLine.RunAsync("convert", source, folder["hub"], "--dtype", "bf16", "--max-shard-size", "100KB");
        var info = await CommandLine.RunAsync("info", folder["hub"], "--json");
        var sampled = await CommandLine
            .RunAsync(
            "sample", "--model", folder["hub"], "--count", "1", "--class", "golden retriever", "--precision", "bf16", "--output", folder["out"]);

        Assert.True(run.ExitCode == ExitCode.Success && sampled.ExitCode == ExitCode.Success, run.Error + sampled.Error);
        Assert.True(Directory.GetFiles(folder["hub"], "model-*-of-*.safetensors").Length > 1);
        Assert.True(File.Exists(folder["hub/model.safetensors.index.json"]));
        Assert.Equal(
            ("checkpoint", "tiny", 70L), (info.Json.GetProperty("format").GetString(), info.Json.GetProperty("preset").GetString(),
            info.Json.GetProperty("step").GetInt64()));
        Assert.All(info.Json.GetProperty("tensors").EnumerateArray(), t => Assert.Equal("bfloat16", t.GetProperty("dtype").GetString()));
        Assert.Equal("golden retriever", info.Json.GetProperty("classNames")[207].GetString());
        Assert.Equal([207], NpzFile.Read(folder["out/codes.npz"])["labels"].ToInt64());
        var card = await File.ReadAllTextAsync(folder["hub/README.md"]);
        Assert.Contains("license: unknown", card, StringComparison.Ordinal);
        Assert.Contains("imagenet-1k", card, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("source.pt", "is what is read")]
    [InlineData("link.pt", "is what is read")]
    [InlineData("out.txt", ".safetensors, .npz")]
    [InlineData("out.pt", "--license", "--license", "mit")]
    [InlineData("out.pt", "--image-size are for folders", "--image-size", "384")]
    [InlineData("out", "--image-size 100", "--image-size", "100")]
    [InlineData("out", "--image-size 384", "--image-size", "384")]
    [InlineData("full", "already holds ema.safetensors")]
    [InlineData("out", "--max-shard-size", "--max-shard-size", "many")]
    [InlineData("out", "is no tokenizer", "--tokenizer", "nowhere")]
    [InlineData("out.pt", "--dtype", "--dtype", "int8")]
    public async Task What_cannot_be_asked_for_is_said_and_nothing_is_written(string output, string reason, params string[] options)
    {
        using var folder = new TemporaryFolder();
        var source = PublishedModel.Write(folder["source.pt"]);
        File.CreateSymbolicLink(folder["link.pt"], source);
        Directory.CreateDirectory(folder["full"]);
        await File.WriteAllTextAsync(folder["full/ema.safetensors"], "");
        var before = Directory.GetFileSystemEntries(folder.Path, "*", SearchOption.AllDirectories);

        var run = await CommandLine.RunAsync(["convert", source, folder[output], .. options]);

        Assert.Equal(ExitCode.Usage, run.ExitCode);
        Assert.Contains(reason, run.Error, StringComparison.Ordinal);
        Assert.Equal(before.Order(), Directory.GetFileSystemEntries(folder.Path, "*", SearchOption.AllDirectories).Order());
    }

    [Fact]
    public async Task NumPy_without_bfloat16_names_the_way_out()
    {
        using var folder = new TemporaryFolder();
        await CommandLine.RunAsync("convert", PublishedModel.Write(folder["source.pt"]), folder["half.pt"], "--dtype", "bf16");

        var refused = await CommandLine.RunAsync("convert", folder["half.pt"], folder["out.npz"]);
        var widened = await CommandLine.RunAsync("convert", folder["half.pt"], folder["out.npz"], "--dtype", "f32");

        Assert.Equal((ExitCode.Usage, ExitCode.Success), (refused.ExitCode, widened.ExitCode));
        Assert.Contains("--dtype f32", refused.Error, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Arrays_that_are_no_transformer_make_no_folder()
    {
        using var folder = new TemporaryFolder();
        NpyFile.Write(folder["codes.npy"], HostTensor.From<int>(ElementType.Int32, [2], [3, 4]));

        var run = await CommandLine.RunAsync("convert", folder["codes.npy"], folder["out"]);

        Assert.Equal(ExitCode.Usage, run.ExitCode);
        Assert.Contains("tok_embeddings", run.Error, StringComparison.Ordinal);
        Assert.Equal([folder["codes.npy"]], Directory.GetFileSystemEntries(folder.Path));
    }

    [Theory]
    [InlineData("out.safetensors")]
    [InlineData("out.pt")]
    [InlineData("out.npz")]
    [InlineData("out")]
    public async Task Stopped_it_leaves_what_was_there_before(string output)
    {
        using var folder = new TemporaryFolder();
        var source = PublishedModel.Write(folder["source.pt"]);
        using var stopped = new CancellationTokenSource();
        await stopped.CancelAsync();

        var run = await CommandLine.RunAsync(["convert", source, folder[output]], stopped.Token);

        Assert.Equal(ExitCode.Cancelled, run.ExitCode);
        Assert.Equal([source], Directory.GetFileSystemEntries(folder.Path));
    }

    [Fact]
    public async Task Weights_that_are_not_there_are_a_plain_error()
    {
        using var folder = new TemporaryFolder();
        await CommandLine.RunAsync("convert", PublishedModel.Write(folder["source.pt"]), folder["one.pt"]);

        var run = await CommandLine.RunAsync("convert", folder["one.pt"], folder["out.safetensors"], "--weights", "ema");

        Assert.Equal(ExitCode.Failure, run.ExitCode);
        Assert.Contains("'ema'", run.Error, StringComparison.Ordinal);
    }

    private static Dictionary<string, HostTensor> Read(string path, WeightsKind kind)
    {
        using var weights = WeightsFile.Open(path, kind);
        return weights.Tensors.ToDictionary(p => p.Key, p => p.Value.Read());
    }

    private static void AssertSame(IReadOnlyDictionary<string, HostTensor> expected, IReadOnlyDictionary<string, HostTensor> actual)
    {
        Assert.Equal(expected.Keys.Order(), actual.Keys.Order());
        Assert.All(expected, p =>
        {
            Assert.Equal(p.Value.ToString(), actual[p.Key].ToString());
            Assert.True(p.Value.Bytes.Span.SequenceEqual(actual[p.Key].Bytes.Span), p.Key);
        });
    }
}
