using NextPatch.Cli.CommandLine;

namespace NextPatch.Cli.Tests.Commands;

// Features that several processes compute.
public sealed partial class EvaluateCommandTests
{
    [Fact]
    public async Task Features_computed_in_parts_give_the_figures_of_one_process()
    {
        var (samples, features) = (WriteImages("samples.npz", 150, seed: 2), _folder["features"]);
        string[] arguments = ["--samples", samples, "--features", features];
        var missing = await Evaluate(arguments);
        Assert.Contains($"{features} holds no features; compute them first", missing.Error, StringComparison.Ordinal);
        for (var part = 1; part <= 3; part++)
        {
            var run = await Evaluate([.. arguments, "--shard", $"{part}/3"]);
            Assert.True(run.ExitCode == ExitCode.Success, run.Error);
            Assert.Empty(run.Output);
        }

        var whole = (await Evaluate("--samples", samples, "--json")).Json;
        var merged = await Evaluate([.. arguments, "--json"]);
        Assert.Equal(whole.ToString(), merged.Json.ToString());
        Assert.DoesNotContain("computed here", merged.Error, StringComparison.Ordinal);

        File.Delete(Path.Combine(features, "part-00002-of-00003.safetensors"));
        var without = await Evaluate([.. arguments, "--json"]);
        Assert.Equal(whole.ToString(), without.Json.ToString());
        Assert.Matches(@"The features of \d+ images were in no part of .* and were computed here", without.Error);
    }

    [Fact]
    public async Task Features_of_another_network_and_models_in_parts_are_refused()
    {
        var samples = WriteImages("samples.npz", 70, seed: 2);
        Assert.Equal(0, (await Evaluate("--samples", samples, "--features", _folder["f"], "--shard", "1/1")).ExitCode);
        var other = await Evaluate("--samples", samples, "--features", _folder["f"], "--resize", "legacy");
        Assert.Equal(ExitCode.Usage, other.ExitCode);
        Assert.Contains("holds features of resnet8", other.Error, StringComparison.Ordinal);
        Assert.Contains("name the same --network, --weights and --resize", other.Error, StringComparison.Ordinal);
        var model = SmallModel.Write(_folder);
        foreach (var (arguments, message) in ((string[], string)[])[
            (["--samples", model, "--count", "4", "--features", _folder["f"], "--shard", "1/2"], "draw them first, in parts too"),
            (["--samples", samples, "--shard", "1/2"], "--shard needs a folder that all parts share; name it with --features"),
            (["--samples", samples, "--shard", "3/2", "--features", _folder["f"]], "--shard '3/2' is no part")])
        {
            var run = await Evaluate(arguments);
            Assert.True(run.ExitCode == ExitCode.Usage, run.Error);
            Assert.Contains(message, run.Error, StringComparison.Ordinal);
        }
    }
}
