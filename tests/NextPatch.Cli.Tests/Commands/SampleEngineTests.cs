using NextPatch.Cli.CommandLine;
using NextPatch.Core.Imaging;

namespace NextPatch.Cli.Tests.Commands;

public sealed class SampleEngineTests
{
    [Fact]
    public async Task Both_engines_draw_the_same_codes()
    {
        using var folder = new TemporaryFolder();
        var model = SmallModel.Write(folder, withTokenizer: false);
        foreach (var engine in new[] { "cpu", "torch", "auto" })
        {
            var run = await CommandLine.RunAsync("sample", "--model", model, "--count", "5", "--engine", engine, "--output", folder[engine]);
            Assert.Equal(ExitCode.Success, run.ExitCode);
            Assert.Contains(engine == "torch" ? "TorchSharp (CPU)" : "C# (CPU, fp32)", run.Error, StringComparison.Ordinal);
        }

        var codes = await File.ReadAllBytesAsync(folder["cpu/codes.npz"]);
        Assert.Equal(codes, await File.ReadAllBytesAsync(folder["torch/codes.npz"]));
        Assert.Equal(codes, await File.ReadAllBytesAsync(folder["auto/codes.npz"]));
    }

    [Fact]
    public async Task Without_a_model_the_built_in_one_draws()
    {
        using var folder = new TemporaryFolder();
        var run = await CommandLine.RunAsync("sample", "--class", "heart", "--count", "2", "--output", folder["out"]);
        Assert.Equal(ExitCode.Success, run.ExitCode);
        Assert.True(File.Exists(folder["out/000001.png"]));
    }

    [Fact]
    public async Task Black_parts_of_a_mask_and_kept_rows_stay()
    {
        using var folder = new TemporaryFolder();
        var run = await CommandLine.RunAsync("sample", "--class", "heart", "--count", "1", "--output", folder["heart"]);
        Assert.Equal(ExitCode.Success, run.ExitCode);
        var mask = new byte[32 * 32 * 3];
        mask.AsSpan(31 * 32 * 3).Fill(255); // the last line: the last row of codes
        new RgbImage(32, 32, mask).SavePng(folder["mask.png"]);
        string[][] ways = [["--mask", folder["mask.png"]], ["--keep-rows", "7"]];
        foreach (var (way, output) in ways.Zip(["a", "b"]))
        {
            run = await CommandLine.RunAsync(
                ["sample", "--class", "star", "--count", "3", "--image", folder["heart/000000.png"], "--output", folder[output], .. way]);
            Assert.Equal(ExitCode.Success, run.ExitCode);
        }

        Assert.Equal(await File.ReadAllBytesAsync(folder["a/samples.npz"]), await File.ReadAllBytesAsync(folder["b/samples.npz"]));
        string[][] mistakes =
        [
            ["--mask", folder["mask.png"]], ["--keep-rows", "3"], ["--image", folder["heart/000000.png"]],
            ["--image", folder["heart/000000.png"], "--keep-rows", "8"],
        ];
        foreach (var mistake in mistakes)
        {
            Assert.Equal(ExitCode.Usage, (await CommandLine.RunAsync(["sample", "--output", folder["c"], .. mistake])).ExitCode);
        }
    }
}
