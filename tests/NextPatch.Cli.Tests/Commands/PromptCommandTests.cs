using System.Text.Json.Nodes;

namespace NextPatch.Cli.Tests.Commands;

/// <summary>Commands on a model that takes prompts.</summary>
public sealed class PromptCommandTests : IDisposable
{
    private readonly TemporaryFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    [Fact]
    public async Task Sample_draws_prompts_in_turn_by_the_encoder_that_the_run_remembers()
    {
        var model = SmallModel.Write(_folder, takesPrompts: true);
        var drawn = await CommandLine.RunAsync(
            "sample", "--model", model, "--prompt", "a small red star", "--prompt", "A blue  heart", "--count", "5", "--seed", "7", "--output",
            _folder["out"]);
        Assert.Equal(0, drawn.ExitCode);
        Assert.Equal(
            ["a small red star", "A blue  heart", "a small red star", "A blue  heart", "a small red star"],
            File.ReadAllLines(_folder["out/captions.txt"]));
        var set = JsonNode.Parse(File.ReadAllText(_folder["out/samples.json"]))!;
        Assert.Equal(5, set["prompts"]!.AsArray().Count);
        var info = (await CommandLine.RunAsync("info", _folder["out/000001.png"], "--json")).Json;
        Assert.Equal("A blue  heart", info.GetProperty("text").GetProperty("prompt").GetString());

        // Image 1 alone, and by the other engine; one per prompt is the default.
        await CommandLine.RunAsync(
            "sample", "--model", model, "--prompt", "x", "--prompt", "A blue  heart", "--seed", "7", "--engine", "torch", "--output", _folder["two"]);
        Assert.Equal(2, Directory.GetFiles(_folder["two"], "0*.png").Length);
        Assert.Equal(File.ReadAllBytes(_folder["out/000001.png"]), File.ReadAllBytes(_folder["two/000001.png"]));
        Assert.NotEqual(File.ReadAllBytes(_folder["out/000000.png"])[200..], File.ReadAllBytes(_folder["two/000000.png"])[200..]);

        var resumed = await CommandLine.RunAsync(
            "sample", "--model", model, "--prompt", "a small red star", "--prompt", "A blue  heart", "--count", "5", "--seed", "7", "--output",
            _folder["out"], "--resume");
        Assert.Equal(0, resumed.ExitCode);
    }

    [Fact]
    public async Task Sample_writes_prompts_of_a_file_as_published()
    {
        var model = SmallModel.Write(_folder, takesPrompts: true);
        File.WriteAllText(_folder["Parti.v2.tsv"], "Prompt\tCategory\n\"a \"\"big\"\" star\"\tShapes\nein rundes Käsebrot\tFood\n");
        var drawn = await CommandLine.RunAsync(
            "sample", "--model", model, "--prompts", _folder["Parti.v2.tsv"], "--layout", "published", "--output", _folder["out"],
            "--cfg-scale", "7.5", "--top-k", "1000");
        Assert.Equal(0, drawn.ExitCode);
        var folder = Assert.Single(Directory.GetDirectories(_folder["out"]));
        Assert.EndsWith("-parti-size-8-size-8-VQ-4-topk-1000-topp-1.0-temperature-1.0-cfg-7.5-seed-0", folder, StringComparison.Ordinal);
        Assert.Equal(["a \"big\" star", "ein rundes Käsebrot"], File.ReadAllLines(Path.Combine(folder, "captions.txt")));
        var lines = File.ReadAllLines(Path.Combine(folder, "result.jsonl")).Select(line => JsonNode.Parse(line)!).ToList();
        Assert.Equal("ein rundes Käsebrot", (string?)lines[1]["text"]);
        Assert.Equal(Path.Combine(folder, "images", "000001.png"), (string?)lines[1]["image_path"]);
        Assert.True(File.Exists((string)lines[1]["image_path"]!));
    }

    [Fact]
    public async Task What_is_cut_or_emptied_of_a_prompt_is_said()
    {
        var model = SmallModel.Write(_folder, takesPrompts: true);
        var drawn = await CommandLine.RunAsync(
            "sample", "--model", model, "--prompt", "2x4", "--prompt", string.Join(' ', Enumerable.Repeat("word", 30)), "--output", _folder["out"]);
        Assert.Equal(0, drawn.ExitCode);
        Assert.Contains("Cleaning leaves nothing of the prompt '2x4'", drawn.Error, StringComparison.Ordinal);
        Assert.Contains("is cut: the model reads 12 tokens", drawn.Error, StringComparison.Ordinal);
        var plain = await CommandLine.RunAsync(
            "sample", "--model", model, "--prompt", "2x4", "--prompt", " \t ", "--clean", "none", "--output", _folder["plain"]);
        Assert.DoesNotContain("Cleaning", plain.Error, StringComparison.Ordinal);
        Assert.DoesNotContain("'2x4'", plain.Error, StringComparison.Ordinal);
        Assert.Contains("is blank: it is drawn as an empty one", plain.Error, StringComparison.Ordinal);
    }

    [Fact]
    public async Task What_a_model_of_prompts_lacks_is_said_with_what_to_do()
    {
        var model = SmallModel.Write(_folder, takesPrompts: true);
        async Task Refuse(string words, params string[] args)
        {
            var result = await CommandLine.RunAsync(["sample", "--model", .. args, "--output", _folder["no"]]);
            Assert.NotEqual(0, result.ExitCode);
            Assert.Contains(words, result.Error, StringComparison.Ordinal);
        }

        await Refuse("say with --prompts what to draw", model);
        await Refuse("has no classes", model, "--class", "star", "--prompt", "a star");
        await Refuse("exclude each other", model, "--prompt", "a", "--prompts", "b.txt");
        await Refuse("does not exist", model, "--prompts", _folder["missing.txt"]);
        await Refuse("missing' does not exist", model, "--prompt", "a", "--text-encoder", _folder["missing"]);
        File.WriteAllText(_folder["empty.txt"], "\n\n");
        await Refuse("holds no prompt", model, "--prompts", _folder["empty.txt"]);

        var config = Path.Combine(model, "step-00000005", "config.json");
        var text = File.ReadAllText(config);
        File.WriteAllText(config, text.Replace("formula-v1", "another", StringComparison.Ordinal));
        await Refuse("its text encoder 'another' is not there any more", model, "--prompt", "a");
        await Refuse("is not, byte for byte, the 'another'", model, "--prompt", "a", "--text-encoder", "formula");
        File.WriteAllText(config, text.Replace("\"featureWidth\": 128", "\"featureWidth\": 64", StringComparison.Ordinal));
        await Refuse("gives 128 numbers per token, but this model takes 64", model, "--prompt", "a");

        using var classes = new TemporaryFolder();
        await Refuse("takes no prompts", SmallModel.Write(classes), "--prompt", "a star");
    }

    [Fact]
    public async Task Info_says_that_a_model_takes_prompts()
    {
        var model = SmallModel.Write(_folder, takesPrompts: true);
        Assert.Contains("prompts: up to 12 tokens of 128 numbers each, by the text encoder formula-v1",
            (await CommandLine.RunAsync("info", model)).Output, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_quantised_copy_draws_from_prompts_too()
    {
        var model = SmallModel.Write(_folder, takesPrompts: true);
        Assert.Equal(0, (await CommandLine.RunAsync("quantize", model, _folder["small"], "--count", "2")).ExitCode);
        var drawn = await CommandLine.RunAsync("sample", "--model", _folder["small"], "--prompt", "a star", "--output", _folder["out"]);
        Assert.Equal(0, drawn.ExitCode);
        Assert.Contains("int8", drawn.Error, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Wise_draws_what_is_missing_and_sums_up_what_is_judged()
    {
        var model = SmallModel.Write(_folder, takesPrompts: true);
        File.WriteAllText(_folder["list.json"], """
            [{"prompt_id": 3, "Prompt": "a star", "Explanation": "b"}, {"prompt_id": 4, "Prompt": "a heart", "Explanation": "b"},
             {"prompt_id": 700, "Prompt": "a moon", "Explanation": "b"}]
            """);
        string[] command = ["wise", "--model", model, "--prompts", _folder["list.json"], "--images", _folder["images"]];
        var first = await CommandLine.RunAsync(command);
        Assert.Equal(0, first.ExitCode);
        Assert.Contains("not known: 0 images are judged, 3 are not", first.Output, StringComparison.Ordinal);
        var image = File.ReadAllBytes(_folder["images/4.png"]);
        File.Delete(_folder["images/4.png"]);
        File.WriteAllText(_folder["images/wise.jsonl"], "");
        var second = await CommandLine.RunAsync([.. command, "--json"]);
        Assert.Equal(3, second.Json.GetProperty("missing").GetInt32());
        Assert.Equal(image, File.ReadAllBytes(_folder["images/4.png"])); // what is drawn does not depend on what was there
        var info = (await CommandLine.RunAsync("info", _folder["images/700.png"], "--json")).Json.GetProperty("text");
        Assert.Equal(("700", "a moon"), (info.GetProperty("index").GetString(), info.GetProperty("prompt").GetString()));
        Assert.NotEqual(0, (await CommandLine.RunAsync([.. command, "--judge", "http://127.0.0.1:1/v1"])).ExitCode);
    }

    [Fact]
    public async Task Evaluate_needs_a_reference_or_clip()
    {
        var neither = await CommandLine.RunAsync("evaluate", "--samples", _folder["x"]);
        Assert.Equal(2, neither.ExitCode);
        Assert.Contains("--reference is missing", neither.Error, StringComparison.Ordinal);
        var alone = await CommandLine.RunAsync("evaluate", "--samples", _folder["x"], "--reference", "y", "--prompts", "z.txt");
        Assert.Contains("--clip", alone.Error, StringComparison.Ordinal);
        var missing = await CommandLine.RunAsync("evaluate", "--samples", _folder["x"], "--clip", _folder["none.safetensors"]);
        Assert.Contains("captions.txt", missing.Error, StringComparison.Ordinal);
    }
}
