using NextPatch.Cli.CommandLine;

namespace NextPatch.Cli.Tests.Commands;

[NoTensorLeaks]
public sealed class SweepCommandTests
{
    [Fact]
    public async Task A_sweep_writes_its_points_curves_and_picture()
    {
        using var folder = new TemporaryFolder();
        var model = SmallModel.Write(folder);
        var weights = SmallResNet.Write(folder["net.safetensors"]);
        var reference = SmallResNet.WriteImages(folder["reference.npz"], 90, side: 8, seed: 1);

        var run = await CommandLine.RunAsync(
            "sweep", "--model", model, "--count", "12", "--cfg-scale", "1,2", "--top-k", "0,4", "--reference", reference, "--weights", weights,
                "--output", folder["sweep"], "--json");

        Assert.True(run.ExitCode == ExitCode.Success, run.Error);
        Assert.Equal(2, run.Error.Split("Warning: ").Length - 1); // few samples, few reference images: once, not at every point
        Assert.Equal(["grid.png", "sweep.csv", "sweep.html", "sweep.json"], Directory.GetFiles(folder["sweep"]).Select(Path.GetFileName).Order());
        var lines = File.ReadAllLines(folder["sweep/sweep.csv"]);
        Assert.Equal(5, lines.Length);
        Assert.StartsWith("1,1,0,1,12,resnet8,", lines[1], StringComparison.Ordinal);
        Assert.Contains("FD-resnet8", File.ReadAllText(folder["sweep/sweep.html"]), StringComparison.Ordinal);
        var single = await CommandLine.RunAsync(
            "evaluate", "--reference", reference, "--weights", weights, "--samples", model, "--count", "12", "--cfg-scale", "2", "--top-k", "4",
            "--metrics", "fd", "--json");
        Assert.Contains(
            single.Json.GetProperty("fd").GetDouble().ToString("R", System.Globalization.CultureInfo.InvariantCulture), lines[4],
            StringComparison.Ordinal);
        Assert.DoesNotContain("most probable code", run.Error, StringComparison.Ordinal);
        var cold = await CommandLine.RunAsync(
            "sweep", "--model", model, "--count", "3", "--cfg-scale", "1", "--temperature", "0,1", "--reference", reference, "--weights", weights,
            "--output", folder["cold"]);
        Assert.Contains("Warning: --temperature 0 always takes the most probable code", cold.Error, StringComparison.Ordinal);
        var bad = await CommandLine.RunAsync("sweep", "--model", model, "--cfg-scale", "1,x", "--reference", reference, "--weights", weights);
        Assert.Equal(ExitCode.Usage, bad.ExitCode);
        Assert.Contains("'x' is no number", bad.Error, StringComparison.Ordinal);
    }
}
