using System.Text.Json;
using NextPatch.Cli.CommandLine;

namespace NextPatch.Cli.Tests.Commands;

/// <summary>Codes, tokenizer, run, samples, weights: each remembers the others.</summary>
[NoTensorLeaks]
public sealed class RunCommandsTests : IDisposable
{
    private const int Side = 2;
    private readonly TemporaryFolder _folder = new();

    public RunCommandsTests()
        => SmallCodes.Write(_folder["codes"], _folder["made/here"], gridSide: Side, count: 40, heldOut: 8, classNames: ["n01440764", "plain"]);

    public void Dispose() => _folder.Dispose();

    [Fact]
    public async Task A_run_needs_no_tokenizer_named_while_it_is_where_it_was()
    {
        var train = await Train("run", "--sample-every", "4");
        Assert.True(train.ExitCode == ExitCode.Success, train.Error);
        Assert.True(File.Exists(_folder["run/samples/step-00000004.png"]));
        var sample = await Run("sample", "--model", _folder["run"], "--count", "3", "--output", _folder["samples"]);
        Assert.True(sample.ExitCode == ExitCode.Success, sample.Error);
        using var set = JsonDocument.Parse(File.ReadAllText(_folder["samples/samples.json"]));
        Assert.Equal(_folder["made/here"], set.RootElement.GetProperty("tokenizerPath").GetString());

        Directory.Move(_folder["made"], _folder["gone"]);
        var moved = await Run("sample", "--model", _folder["run"], "--count", "3", "--output", _folder["samples"]);
        Assert.Equal(ExitCode.Failure, moved.ExitCode);
        Assert.Contains(_folder["made/here"], moved.Error, StringComparison.Ordinal);
        Assert.Contains("--tokenizer", moved.Error, StringComparison.Ordinal);
        var named = await Run(
            "sample", "--model", _folder["run"], "--count", "2", "--output", _folder["samples"], "--tokenizer", _folder["gone/here"]);
        Assert.Equal(ExitCode.Success, named.ExitCode);
        Assert.Contains("2 of them are replaced, and 1 stay", named.Error, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("out.pt")]
    [InlineData("out.safetensors")]
    [InlineData("out.npz")]
    [InlineData("out")]
    public async Task A_converted_run_draws_the_same_images_with_its_own_tokenizer(string name)
    {
        Assert.Equal(ExitCode.Success, (await Train("run")).ExitCode);
        Assert.Equal(ExitCode.Success, (await Run("convert", _folder["run"], _folder[name])).ExitCode);
        if (name == "out")
        {
            Directory.Move(_folder["made"], _folder["gone"]); // a folder brings its tokenizer along
        }

        foreach (var (model, output) in new[] { (name, "b") }.Concat(name == "out" ? [] : [("run", "a")]))
        {
            var run = await Run("sample", "--model", _folder[model], "--count", "4", "--output", _folder[output]);
            Assert.True(run.ExitCode == ExitCode.Success, run.Error);
        }

        using var set = JsonDocument.Parse(File.ReadAllText(_folder["b/samples.json"]));
        Assert.Equal("n01440764", set.RootElement.GetProperty("classNames")[0].GetString());
        if (name != "out")
        {
            Assert.Equal(PixelsOf("a"), PixelsOf("b"));
        }
    }

    [Fact]
    public async Task A_run_is_continued_lengthened_reported_and_compared()
    {
        var first = await Train("run", "--json", "--validate-every", "3");
        Assert.True(first.Json.GetProperty("heldOutLoss").GetDouble() > 0);
        Assert.Equal(Math.Log(SmallCodes.Vocabulary), first.Json.GetProperty("uniformLoss").GetDouble());
        Assert.Contains("guessing costs", first.Error, StringComparison.Ordinal);

        var longer = await Run("train", "--resume", _folder["run"], "--extend-to", "12", "--json");
        Assert.True(longer.ExitCode == ExitCode.Success, longer.Error);
        Assert.Equal(12, longer.Json.GetProperty("step").GetInt64());
        var refused = await Run("train", "--resume", _folder["run"], "--lr", "1", "--output", "elsewhere");
        Assert.Equal(ExitCode.Usage, refused.ExitCode);
        Assert.Contains("--lr, --output would be ignored", refused.Error, StringComparison.Ordinal);

        var page = File.ReadAllText(_folder["run/report.html"]);
        Assert.Contains("guessing costs ln V", page, StringComparison.Ordinal);
        Assert.Contains("class=\"best\"", page, StringComparison.Ordinal);
        Assert.Contains("prefers-color-scheme:dark", page, StringComparison.Ordinal);
        File.Delete(_folder["run/report.html"]);
        Assert.Equal(ExitCode.Success, (await Run("report", _folder["run"])).ExitCode);
        Assert.Equal(page, File.ReadAllText(_folder["run/report.html"]));

        Assert.Equal(ExitCode.Success, (await Train("plain", "--patch-level", "1")).ExitCode);
        var table = await Run("compare", _folder["run"], _folder["plain"]);
        Assert.Matches(@"patch sides\s+2, 1\s+1", table.Output);
        var made = await Run("compare", _folder["run"], _folder["plain"], "--output", _folder["pages/compare.html"], "--samples", "2");
        Assert.True(made.ExitCode == ExitCode.Success, made.Error);
        Assert.Equal(2, File.ReadAllText(_folder["pages/compare.html"]).Split("data:image/png").Length - 1);
        Assert.Contains("is no run", (await Run("compare", _folder["codes"])).Error, StringComparison.Ordinal);
    }

    [Fact]
    public async Task What_a_folder_of_codes_says_is_planned_with()
    {
        var plan = (await Run(
            "plan", "--preset", "tiny", "--recipe", "cpu", "--codes", _folder["codes"], "--epochs", "2", "--flops-per-second", "1e9", "--json")).Json;
        Assert.Equal(32, plan.GetProperty("datasetImages").GetInt64());
        Assert.Equal(Side * Side, plan.GetProperty("stages")[1].GetProperty("tokensPerImage").GetInt32());
    }

    [Theory]
    [InlineData("--greedy")]
    [InlineData("--temperature=0")]
    public async Task Drawing_without_chance_is_warned_about(string option)
    {
        SmallModel.Write(_folder);
        var run = await Run("sample", "--model", _folder["model"], "--count", "1", "--output", _folder["samples"], option);
        Assert.Equal(ExitCode.Success, run.ExitCode);
        Assert.Contains("Warning: --", run.Error, StringComparison.Ordinal);
        Assert.Contains("always takes the most probable code", run.Error, StringComparison.Ordinal);
    }

    private static Task<CommandLine> Run(params string[] arguments) => CommandLine.RunAsync(arguments);

    private Task<CommandLine> Train(string run, params string[] more) => CommandLine.RunAsync(
        ["train", "--codes", _folder["codes"], "--output", _folder[run], "--preset", "tiny", "--steps", "6", "--batch-size", "4", "--precision",
            "fp32",
            "--log-every", "1", .. more]);

    private byte[] PixelsOf(string folder)
    {
        using var archive = Core.Checkpoints.Numpy.NpzFile.Open(_folder[folder + "/samples.npz"]);
        return archive.Tensors["arr_0"].Read().AsSpan<byte>().ToArray();
    }
}
