using NextPatch.Text.Features;

namespace NextPatch.Cli.Tests.Commands;

public sealed class EncodeTextCommandTests : IDisposable
{
    private readonly TemporaryFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    [Fact]
    public async Task Captions_become_features_and_odd_lines_are_counted()
    {
        await File.WriteAllLinesAsync(_folder["c.jsonl"], ["""{"text": "a red star"}""", "", """{"text": "mp4"}"""]);

        var run = await CommandLine.RunAsync(
            "encode-text", "--captions", _folder["c.jsonl"], "--encoder", "formula", "--output", _folder["out"], "--layout", "published");
        var json = await CommandLine.RunAsync(
            "encode-text", "--captions", _folder["c.jsonl"], "--encoder", "formula", "--output", _folder["store"], "--json");

        Assert.Equal((0, 0), (run.ExitCode, json.ExitCode));
        Assert.Contains("2 of 3 captions", run.Output, StringComparison.Ordinal);
        Assert.Contains("which has learned nothing", run.Output, StringComparison.Ordinal);
        Assert.Contains("1 without features: blank line", run.Output, StringComparison.Ordinal);
        Assert.Contains("1 left empty by the cleaning", run.Output, StringComparison.Ordinal);
        Assert.True(File.Exists(_folder["out/c/0.npy"]));
        Assert.Equal((3, 2, 128), (json.Json.GetProperty("count").GetInt32(), json.Json.GetProperty("encoded").GetInt32(),
            json.Json.GetProperty("width").GetInt32()));
    }

    [Fact]
    public async Task Both_engines_encode_and_do_not_mix_in_a_folder()
    {
        await File.WriteAllTextAsync(_folder["c.txt"], "a red star");
        foreach (var engine in (string[])["cpu", "torch"])
        {
            Assert.Equal(0, (await CommandLine.RunAsync(
                "encode-text", "--captions", _folder["c.txt"], "--encoder", "formula", "--output", _folder[engine], "--engine", engine)).ExitCode);
        }

        using var cpu = FeatureStore.Open(_folder["cpu"]);
        using var torch = FeatureStore.Open(_folder["torch"]);
        var (expected, actual) = (new float[4 * 128], new float[4 * 128]);
        cpu.Read(0, expected);
        torch.Read(0, actual);
        Assert.All(expected.Zip(actual), p => Assert.Equal(p.First, p.Second, 2e-5f));
        var mixed = await CommandLine.RunAsync(
            "encode-text", "--captions", _folder["c.txt"], "--encoder", "formula", "--output", _folder["torch"]);
        Assert.Equal(2, mixed.ExitCode);
        Assert.Contains("engine was torch", mixed.Error, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("--encoder", "formula", "--captions", "none.txt", "does not exist", 1)]
    [InlineData("--encoder", "formula", "--captions", "c.png", "none of .jsonl", 1)]
    [InlineData("--encoder", "none.safetensors", "--captions", "c.txt", "does not exist", 1)]
    [InlineData("--encoder", "formula", "--tokenizer", "spiece.model", "leave --tokenizer out", 2)]
    public async Task Mistakes_are_explained(string option, string value, string other, string otherValue, string message, int exitCode)
    {
        await File.WriteAllTextAsync(_folder["c.txt"], "a red star");
        await File.WriteAllTextAsync(_folder["c.png"], "");
        string[] rest = other == "--captions" ? ["--captions", _folder[otherValue]] : ["--captions", _folder["c.txt"], other, _folder[otherValue]];

        var run = await CommandLine.RunAsync(["encode-text", option, value, .. rest, "--output", _folder["out"]]);

        Assert.Equal(exitCode, run.ExitCode);
        Assert.Contains(message, run.Error, StringComparison.Ordinal);
    }
}
