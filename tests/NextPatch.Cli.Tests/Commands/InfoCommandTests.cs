using System.Security.Cryptography;
using NextPatch.Cli.CommandLine;
using NextPatch.Core.Checkpoints.Numpy;
using NextPatch.Core.Checkpoints.PyTorch;
using NextPatch.Core.Checkpoints.Safetensors;
using NextPatch.Core.Imaging;
using NextPatch.Core.Tensors;
using NextPatch.Data.Codes;

namespace NextPatch.Cli.Tests.Commands;

[NoTensorLeaks]
public sealed class InfoCommandTests
{
    [Fact]
    public async Task A_run_shows_its_newest_checkpoint()
    {
        using var folder = new TemporaryFolder();
        var model = SmallModel.Write(folder);

        var info = (await CommandLine.RunAsync("info", model, "--json")).Json;

        Assert.Equal("run", info.GetProperty("format").GetString());
        Assert.Equal("tiny", info.GetProperty("preset").GetString());
        Assert.Equal(5, info.GetProperty("step").GetInt64());
        Assert.Equal(SmallModel.ClassNames, info.GetProperty("classNames").EnumerateArray().Select(n => n.GetString()!));
        Assert.Equal(["step-00000005"], info.GetProperty("checkpoints").EnumerateArray().Select(n => n.GetString()!));
        Assert.Equal(32, info.GetProperty("configuration").GetProperty("model").GetProperty("vocabularySize").GetInt32());
    }

    [Fact]
    public async Task Weights_show_their_tensors_and_how_many_parameters_they_hold()
    {
        using var folder = new TemporaryFolder();
        var weights = Path.Combine(SmallModel.Write(folder), "step-00000005", "model.safetensors");

        var info = (await CommandLine.RunAsync("info", weights, "--json")).Json;

        var expected = (Core.Configuration.GptPresets.Get("tiny") with { GridSide = 2, VocabularySize = 32, ClassCount = 3 }).ParameterCount;
        Assert.Equal(("safetensors", expected), (info.GetProperty("format").GetString(), info.GetProperty("parameterCount").GetInt64()));
        var table = info.GetProperty("tensors").EnumerateArray().Single(t => t.GetProperty("name").GetString() == "tok_embeddings.weight");
        Assert.Equal("float32", table.GetProperty("dtype").GetString());
        Assert.Equal([32, 64], table.GetProperty("shape").EnumerateArray().Select(e => e.GetInt32()));
    }

    [Fact]
    public async Task A_tokenizer_is_told_from_a_model()
    {
        using var folder = new TemporaryFolder();
        SmallModel.Write(folder);

        var info = (await CommandLine.RunAsync("info", folder["tokenizer"], "--json")).Json;

        Assert.Equal("tokenizer", info.GetProperty("format").GetString());
        Assert.Equal(32, info.GetProperty("configuration").GetProperty("codebookSize").GetInt32());
        Assert.False(info.TryGetProperty("preset", out _));
    }

    [Fact]
    public async Task Codes_show_their_manifest()
    {
        using var folder = new TemporaryFolder();
        CodeStore.Write(
            folder["codes"], new CodeManifest { Name = "two", GridSide = 1, VocabularySize = 9, ClassNames = ["a", "b"], Count = 2 }, [3, 8], [0, 1]);

        var info = (await CommandLine.RunAsync("info", folder["codes"], "--json")).Json;

        Assert.Equal("codes", info.GetProperty("format").GetString());
        Assert.Equal(
            ["codes uint16", "labels int32"], info.GetProperty("tensors").EnumerateArray().Select(
            t => $"{t.GetProperty("name").GetString()} {t.GetProperty("dtype").GetString()}"));
        Assert.Equal("two", info.GetProperty("configuration").GetProperty("name").GetString());
    }

    [Fact]
    public async Task Arrays_and_archives_show_shapes_from_their_headers()
    {
        using var folder = new TemporaryFolder();
        var tensor = HostTensor.FromSingles([2, 3], [1, 2, 3, 4, 5, 6]);
        NpyFile.Write(folder["one.npy"], tensor);
        using (var archive = new NpzWriter(folder["many.npz"]))
        {
            archive.Add("first", tensor);
        }

        var (one, many) = ((await CommandLine.RunAsync("info", folder["one.npy"], "--json")).Json,
            (await CommandLine.RunAsync("info", folder["many.npz"], "--json")).Json);

        Assert.Equal(("npy", 6), (one.GetProperty("format").GetString(), one.GetProperty("parameterCount").GetInt64()));
        Assert.Equal(("npz", "first"), (many.GetProperty("format").GetString(), many.GetProperty("tensors")[0].GetProperty("name").GetString()));
    }

    [Fact]
    public async Task A_published_checkpoint_shows_its_weights_by_clean_names_and_what_else_it_holds()
    {
        using var folder = new TemporaryFolder();

        var info = (await CommandLine.RunAsync("info", PublishedModel.Write(folder["c2i.pt"], classCount: 1000), "--json")).Json;

        Assert.Equal(
            ("pytorch", "tiny", "ema", 70L), (info.GetProperty("format").GetString(), info.GetProperty("preset").GetString(),
            info.GetProperty("weights").GetString(), info.GetProperty("step").GetInt64()));
        var expected = Core.Configuration.GptPresets.Get("tiny") with { GridSide = 2, VocabularySize = PublishedModel.VocabularySize };
        Assert.Equal(expected.ParameterCount, info.GetProperty("parameterCount").GetInt64());
        Assert.Contains("tok_embeddings.weight", info.GetProperty("tensors").EnumerateArray().Select(t => t.GetProperty("name").GetString()));
        Assert.DoesNotContain("freqs_cis", info.GetProperty("tensors").ToString(), StringComparison.Ordinal);
        Assert.StartsWith("tench", info.GetProperty("classNames")[0].GetString(), StringComparison.Ordinal);
        var contents = info.GetProperty("contents");
        Assert.Equal(
            ("19 tensors", "1 tensors", 70), (contents.GetProperty("ema").GetString(), contents.GetProperty("optimizer").GetString(),
            contents.GetProperty("steps").GetInt32()));
        Assert.Equal(
            ("tiny", "Infinity"), (contents.GetProperty("args").GetProperty("gpt_model").GetString(),
            contents.GetProperty("args").GetProperty("limit").GetString()));
    }

    [Fact]
    public async Task A_text_conditional_transformer_is_described()
    {
        using var folder = new TemporaryFolder();
        PyTorchFile.Write(folder["t2i.pt"],
        [
            new("cls_embedding.cap_proj.fc1.weight", HostTensor.FromSingles([64, 2], new float[128])),
            new("tok_embeddings.weight", HostTensor.FromSingles([8, 64], new float[512])),
            new("layers.0.feed_forward.w1.weight", HostTensor.FromSingles([192, 64], new float[192 * 64])),
            new("layers.1.feed_forward.w1.weight", HostTensor.FromSingles([192, 64], new float[192 * 64])),
        ], "state_dict");

        var info = (await CommandLine.RunAsync("info", folder["t2i.pt"], "--json")).Json;

        Assert.Equal(("tiny", 4), (info.GetProperty("preset").GetString(), info.GetProperty("tensors").GetArrayLength()));
        Assert.False(info.TryGetProperty("classNames", out _));
    }

    [Fact]
    public async Task A_checkpoint_without_weights_lists_the_tensors_it_has()
    {
        using var folder = new TemporaryFolder();
        PyTorchFile.Write(folder["optimizer.pt"], new Dictionary<object, object?>
        {
            ["state"] = new Dictionary<object, object?>
            {
                [0L] = new Dictionary<object, object?> { ["exp_avg"] = HostTensor.FromSingles([2], [1, 2]) },
            }, ["lr"] = 0.5,
        });

        var info = (await CommandLine.RunAsync("info", folder["optimizer.pt"], "--json")).Json;

        Assert.Equal("state.0.exp_avg", info.GetProperty("tensors")[0].GetProperty("name").GetString());
        Assert.Equal(0.5, info.GetProperty("contents").GetProperty("lr").GetDouble());
    }

    [Theory]
    [InlineData("out.safetensors", "safetensors")]
    [InlineData("out.npz", "npz")]
    [InlineData("out.pth", "pytorch")]
    [InlineData("out", "checkpoint")]
    [InlineData("out/model.safetensors.index.json", "safetensors")]
    public async Task Every_format_of_a_model_tells_the_same(string name, string format)
    {
        using var folder = new TemporaryFolder();
        var source = PublishedModel.Write(folder["c2i.pt"]);
        await CommandLine.RunAsync(
            "convert", source, name.StartsWith("out/", StringComparison.Ordinal) ? folder["out"] : folder[name], "--max-shard-size", "50KB");

        var (expected, info) =
            ((await CommandLine.RunAsync("info", source, "--json")).Json, (await CommandLine.RunAsync("info", folder[name], "--json")).Json);

        Assert.Equal(format, info.GetProperty("format").GetString());
        Assert.All(["parameterCount", "preset"], field => Assert.Equal(expected.GetProperty(field).ToString(), info.GetProperty(field).ToString()));
        Assert.Equal(
            expected.GetProperty("tensors").EnumerateArray().Select(t => t.ToString()).Order(),
            info.GetProperty("tensors").EnumerateArray().Select(t => t.ToString()).Order());
    }

    [Fact]
    public async Task An_image_shows_its_text()
    {
        using var folder = new TemporaryFolder();
        await File.WriteAllBytesAsync(folder["image.png"], PngWriter.Encode(new RgbImage(2, 2), new Dictionary<string, string> { ["seed"] = "42" }));

        var run = await CommandLine.RunAsync("info", folder["image.png"]);

        Assert.Matches(@"(?m)^seed\s+42\s*$", run.Output);
    }

    [Theory]
    [InlineData("weights.safetensors")]
    [InlineData("weights.pt")]
    [InlineData("weights.ckpt")]
    [InlineData("model.safetensors.index.json")]
    [InlineData("samples.npz")]
    [InlineData("codes.npy")]
    [InlineData("image.png")]
    [InlineData("notes.txt")]
    public async Task A_file_that_is_not_what_its_name_says_is_a_plain_error(string name)
    {
        using var folder = new TemporaryFolder();
        await File.WriteAllTextAsync(folder[name], "<html>not found</html>");

        var run = await CommandLine.RunAsync("info", folder[name]);

        Assert.Equal(ExitCode.Failure, run.ExitCode);
        Assert.DoesNotContain("defect", run.Error, StringComparison.Ordinal);
        Assert.Empty(run.Output);
    }

    [Theory]
    [InlineData(null, "whole")]
    [InlineData("optimizer.safetensors", "damaged, optimizer.safetensors does not have the SHA-256")]
    [InlineData("SHA256SUMS", "nothing wrong to be seen, but there is no SHA256SUMS")]
    public async Task Verifying_a_run_tells_which_checkpoint_is_damaged(string? touched, string verdict)
    {
        using var folder = new TemporaryFolder();
        var run = SmallModel.Write(folder, withTokenizer: false);
        var checkpoint = Path.Combine(run, "step-00000005");
        SafetensorsFile.Write(Path.Combine(checkpoint, "optimizer.safetensors"), [new("exp_avg.norm.weight", HostTensor.FromSingles([1], [0]))]);
        await File.WriteAllLinesAsync(
            Path.Combine(checkpoint, "SHA256SUMS"),
            Directory.GetFiles(checkpoint).Select(f => $"{Convert.ToHexStringLower(SHA256.HashData(File.ReadAllBytes(f)))}  {Path.GetFileName(f)}"));
        if (touched == "SHA256SUMS")
        {
            File.Delete(Path.Combine(checkpoint, touched));
        }
        else if (touched is not null)
        {
            var bytes = await File.ReadAllBytesAsync(Path.Combine(checkpoint, touched));
            bytes[^1] ^= 1;
            await File.WriteAllBytesAsync(Path.Combine(checkpoint, touched), bytes);
        }

        foreach (var path in (string[])[run, checkpoint])
        {
            var (text, json) = (await CommandLine.RunAsync("info", path, "--verify"), await CommandLine.RunAsync("info", path, "--verify", "--json"));

            var isDamaged = verdict.StartsWith("damaged", StringComparison.Ordinal);
            Assert.All([text, json], r => Assert.Equal(isDamaged ? ExitCode.Failure : ExitCode.Success, r.ExitCode));
            Assert.StartsWith($"{checkpoint}: {verdict}", text.Output, StringComparison.Ordinal);
            var found = Assert.Single(json.Json.EnumerateArray());
            Assert.Equal((isDamaged, touched != "SHA256SUMS"), (found.TryGetProperty("problem", out _), found.GetProperty("hasSums").GetBoolean()));
        }
    }

    [Fact]
    public async Task What_has_no_sums_cannot_be_verified()
    {
        using var folder = new TemporaryFolder();
        SmallModel.Write(folder);

        var run = await CommandLine.RunAsync("info", folder["tokenizer"], "--verify");

        Assert.Equal(ExitCode.Failure, run.ExitCode);
        Assert.Contains("SHA256SUMS", run.Error, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_missing_path_is_named()
    {
        var run = await CommandLine.RunAsync("info", "no/such/thing");

        Assert.Equal(ExitCode.Failure, run.ExitCode);
        Assert.Contains("no/such/thing", run.Error, StringComparison.Ordinal);
    }
}
