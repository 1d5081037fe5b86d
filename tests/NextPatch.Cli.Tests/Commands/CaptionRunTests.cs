using System.Text.Json;
using NextPatch.Cli.CommandLine;
using NextPatch.Core.Imaging;

namespace NextPatch.Cli.Tests.Commands;

/// <summary>From images with captions to a run, by commands alone.</summary>
[NoTensorLeaks]
public sealed class CaptionRunTests : IDisposable
{
    private const int Images = 12;

    private readonly TemporaryFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    /// <summary>Features are enough to draw while a run goes on: no encoder is asked for.</summary>
    [Fact]
    public async Task Training_on_captions_draws_and_measures_on_the_way()
    {
        SmallCodes.WriteTokenizer(_folder["tokenizer"], gridSide: 2);
        for (var i = 0; i < Images; i++)
        {
            var picture = new RgbImage(8, 8, [.. Enumerable.Range(0, 8 * 8 * 3).Select(k => (byte)((i * 20) + k))]);
            await File.WriteAllBytesAsync(_folder[$"{i}.png"], PngWriter.Encode(picture));
        }

        var list = _folder["list.jsonl"];
        await File.WriteAllLinesAsync(
            list, Enumerable.Range(0, Images).Select(i => $$"""{"file": "{{i}}.png", "captions": ["picture {{i}}", "another"]}"""));
        var inspected = await CommandLine.RunAsync("dataset", "inspect", list);
        Assert.Contains("12, 2 to 2 words, median 2\n", inspected.Output.ReplaceLineEndings("\n"), StringComparison.Ordinal);
        foreach (var command in (string[][])[
            ["encode", "--images", list, "--captions", list, "--tokenizer", _folder["tokenizer"], "--output", _folder["codes"], "--held-out", "0.25"],
            ["encode-text", "--captions", list, "--encoder", "formula", "--output", _folder["features"]],
            ["train", "--codes", _folder["codes"], "--text-features", _folder["features"], "--output", _folder["run"], "--preset", "tiny",
                "--steps", "4", "--batch-size", "4", "--precision", "fp32", "--sample-every", "2", "--evaluate-every", "2", "--evaluate-count", "6",
                "--reference", list, "--weights", SmallResNet.Write(_folder["net.safetensors"])]])
        {
            var run = await CommandLine.RunAsync(command);
            Assert.True(run.ExitCode == ExitCode.Success, run.Error);
        }

        var measured = File.ReadLines(_folder["run/metrics.jsonl"]).Where(l => l.Contains("fd-resnet8", StringComparison.Ordinal)).ToList();
        Assert.Equal([2, 4], measured.Select(l => JsonDocument.Parse(l).RootElement.GetProperty("step").GetInt32()));
        Assert.Equal(
            ["step-00000002.png", "step-00000004.png"],
            Directory.GetFiles(_folder["run/samples"]).Select(Path.GetFileName).Order(StringComparer.Ordinal));
        var report = await CommandLine.RunAsync("report", _folder["run"]);
        Assert.Equal(ExitCode.Success, report.ExitCode);
        var page = await File.ReadAllTextAsync(_folder["run/report.html"]);
        Assert.All(["captions of up to 120 tokens of 128 numbers", "A row per caption", "fd-resnet8"],
            words => Assert.Contains(words, page, StringComparison.OrdinalIgnoreCase));

        var compared = await CommandLine.RunAsync("compare", _folder["run"], "--output", _folder["compare.html"], "--samples", "2");
        Assert.Equal((ExitCode.Success, false), (compared.ExitCode, compared.Error.Contains("draws no samples", StringComparison.Ordinal)));
        Assert.Contains("alt=\"samples of run\"", await File.ReadAllTextAsync(_folder["compare.html"]), StringComparison.Ordinal);
        Directory.Move(_folder["features"], _folder["gone"]);
        compared = await CommandLine.RunAsync("compare", _folder["run"], "--output", _folder["compare.html"]);
        Assert.Contains("draws no samples", compared.Error, StringComparison.Ordinal);
        Assert.Contains("None could be drawn.", await File.ReadAllTextAsync(_folder["compare.html"]), StringComparison.Ordinal);
    }
}
