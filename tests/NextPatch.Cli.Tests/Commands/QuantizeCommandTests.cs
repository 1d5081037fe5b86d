using System.Text.Json;
using NextPatch.Cli.CommandLine;

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
    public async Task What_cannot_be_quantised_is_said()
    {
        using var folder = new TemporaryFolder();
        Assert.Equal(ExitCode.Usage, (await CommandLine.RunAsync("quantize", SmallModel.Write(folder), folder["x"], "--to", "int4")).ExitCode);
        Assert.NotEqual(ExitCode.Success, (await CommandLine.RunAsync("quantize", folder["none"], folder["x"])).ExitCode);
        Assert.False(Directory.Exists(folder["x"]));
    }
}
