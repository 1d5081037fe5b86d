using System.Text.Json;
using NextPatch.Cli.CommandLine;
using NextPatch.Data.Codes;

namespace NextPatch.Cli.Tests.Commands;

public sealed class QuantizeCommandTests
{
    [Theory]
    [InlineData("int8")]
    [InlineData("bf16")]
    public async Task A_quantised_model_draws_as_the_original_does_in_that_precision(string to)
    {
        using var folder = new TemporaryFolder();
        var model = SmallModel.Write(folder);

        var run = await CommandLine.RunAsync("quantize", model, folder["small"], "--to", to, "--count", "3", "--json");

        Assert.Equal((ExitCode.Success, ""), (run.ExitCode, run.Error));
        var report = JsonDocument.Parse(run.Output).RootElement;
        Assert.InRange(report.GetProperty("divergence").GetDouble(), 0, 0.01);
        Assert.InRange(report.GetProperty("equalGreedy").GetDouble(), 0.9, 1);
        Assert.InRange(
            report.GetProperty("bytes").GetInt64() / (double)report.GetProperty("originalBytes").GetInt64(), 0.25, 0.55);
        foreach (var (source, output) in new[] { (model, "a"), (folder["small"], "b") })
        {
            var drawn = await CommandLine.RunAsync(
                "sample", "--model", source, "--precision", to, "--count", "4", "--output", folder[output], "--engine", "cpu");
            Assert.Equal(ExitCode.Success, drawn.ExitCode);
        }

        Assert.Equal(await File.ReadAllBytesAsync(folder["a/samples.npz"]), await File.ReadAllBytesAsync(folder["b/samples.npz"]));
        var torch = await CommandLine.RunAsync("sample", "--model", folder["small"], "--count", "1", "--output", folder["c"], "--engine", "torch");
        Assert.Equal(ExitCode.Success, torch.ExitCode); // any engine reads it
    }

    [Fact]
    public async Task With_a_reference_the_change_of_the_distance_is_measured()
    {
        using var folder = new TemporaryFolder();
        var model = SmallModel.Write(folder);
        var drawn = await CommandLine.RunAsync("sample", "--model", model, "--count", "40", "--seed", "9", "--output", folder["drawn"]);
        Assert.True(drawn.ExitCode == ExitCode.Success, drawn.Error);

        var run = await CommandLine.RunAsync(
            "quantize", model, folder["small"], "--tokenizer", folder["tokenizer"], "--count", "2", "--json", "--draw", "20", "--reference",
            folder["drawn/samples.npz"], "--network", SmallResNet.Name, "--network-weights", SmallResNet.Write(folder["net.safetensors"]));

        Assert.True(run.ExitCode == ExitCode.Success, run.Error);
        var (before, after) = (run.Json.GetProperty("originalDistance").GetDouble(), run.Json.GetProperty("distance").GetDouble());
        Assert.InRange(before, 1e-6, 1e6);
        Assert.InRange(after, before * 0.5, before * 2);
    }

    [Fact]
    public async Task Weights_that_were_damaged_are_said_before_a_picture_is_written()
    {
        using var folder = new TemporaryFolder();
        var model = SmallModel.Write(folder);
        Assert.Equal(
            ExitCode.Success,
            (await CommandLine.RunAsync("quantize", model, folder["small"], "--tokenizer", folder["tokenizer"], "--count", "1")).ExitCode);
        var weights = folder["small/model.safetensors"];
        using (var file = File.Open(weights, FileMode.Open))
        {
            file.Position = file.Length / 2;
            var value = file.ReadByte();
            file.Position--;
            file.WriteByte((byte)(value ^ 1));
        }

        var damaged = await CommandLine.RunAsync("sample", "--model", folder["small"], "--count", "1", "--output", folder["out"]);

        Assert.Equal(ExitCode.Failure, damaged.ExitCode);
        Assert.Contains("SHA-256", damaged.Error, StringComparison.Ordinal);
        Assert.Contains(weights, damaged.Error, StringComparison.Ordinal);
        Assert.False(File.Exists(folder["out/000000.png"]));
    }

    [Fact]
    public async Task The_card_says_how_to_use_the_folder_here_and_how_its_matrices_lie()
    {
        using var folder = new TemporaryFolder();
        var run = await CommandLine.RunAsync("quantize", SmallModel.Write(folder), folder["small"], "--count", "1");
        Assert.True(run.ExitCode == ExitCode.Success, run.Error);
        var card = await File.ReadAllTextAsync(folder["small/README.md"]);
        Assert.Contains("ImageGenerator.Load(\"small\")", card, StringComparison.Ordinal);
        Assert.Contains("x.panels", card, StringComparison.Ordinal);
        Assert.DoesNotContain("load_state_dict", card, StringComparison.Ordinal);
        Assert.Equal(ExitCode.Success, (await CommandLine.RunAsync("info", folder["small"])).ExitCode);
        var converted = await CommandLine.RunAsync("convert", folder["small"], folder["back.safetensors"]);
        Assert.True(converted.ExitCode == ExitCode.Success, converted.Error); // any reader sees matrices in float
        var half = await CommandLine.RunAsync("quantize", folder["small"], folder["half"], "--to", "bf16", "--count", "1");
        Assert.True(half.ExitCode == ExitCode.Success, half.Error);
        foreach (var floats in new[] { "back.safetensors", "half" })
        {
            var read = await CommandLine.RunAsync("info", folder[floats]);
            Assert.True(read.ExitCode == ExitCode.Success, read.Error);
        }
    }

    [Theory]
    [InlineData("convert")]
    [InlineData("quantize")]
    public async Task A_folder_of_weights_that_say_nothing_has_the_size_that_was_given(string command)
    {
        using var folder = new TemporaryFolder();
        Assert.Equal(ExitCode.Success, (await CommandLine.RunAsync("convert", SmallModel.Write(folder), folder["w.pt"])).ExitCode);
        File.Delete(folder["w.pt.json"]);
        var run = await CommandLine.RunAsync(command, folder["w.pt"], folder["out"], "--image-size", "32");
        Assert.True(run.ExitCode == ExitCode.Success, run.Error);
        using var config = JsonDocument.Parse(await File.ReadAllTextAsync(folder["out/config.json"]));
        Assert.Equal(2, config.RootElement.GetProperty("model").GetProperty("gridSide").GetInt32());
        Assert.Equal(32, config.RootElement.GetProperty("imageSide").GetInt32());
    }

    [Fact]
    public async Task Codes_of_classes_that_the_model_has_not_are_refused()
    {
        using var folder = new TemporaryFolder();
        CodeStore.Write(folder["codes"], new CodeManifest
        {
            Name = "x", GridSide = 2, VocabularySize = SmallCodes.Vocabulary, ClassNames = ["a", "b", "c", "d"], Count = 2,
        }, new int[8], [0, 3]);
        var run = await CommandLine.RunAsync("quantize", SmallModel.Write(folder), folder["small"], "--codes", folder["codes"]);
        Assert.Equal(ExitCode.Usage, run.ExitCode);
        Assert.Contains("have the label 3, but the model has 3 classes", run.Error, StringComparison.Ordinal);
        Assert.False(Directory.Exists(folder["small"]));
    }

    [Fact]
    public async Task What_cannot_be_quantised_is_said()
    {
        using var folder = new TemporaryFolder();
        Assert.Equal(ExitCode.Usage, (await CommandLine.RunAsync("quantize", SmallModel.Write(folder), folder["x"], "--to", "int4")).ExitCode);
        Assert.NotEqual(ExitCode.Success, (await CommandLine.RunAsync("quantize", folder["none"], folder["x"])).ExitCode);
        Assert.False(Directory.Exists(folder["x"]));
    }
}
