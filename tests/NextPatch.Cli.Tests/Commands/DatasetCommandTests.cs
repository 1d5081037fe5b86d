using NextPatch.Cli.CommandLine;
using NextPatch.Core.Imaging;
using NextPatch.Data.Codes;

namespace NextPatch.Cli.Tests.Commands;

public sealed class DatasetCommandTests
{
    [Fact]
    public async Task Images_are_counted_by_class_and_size_and_bad_ones_are_named()
    {
        using var folder = Pictures();
        File.WriteAllText(folder["set/dog/bad.jpg"], "hello");

        var run = await CommandLine.RunAsync("dataset", "inspect", folder["set"], "--json", "--grid", folder["grid.png"]);

        Assert.Equal(ExitCode.Success, run.ExitCode);
        Assert.Equal(
            ("set", "image folder", 4), (run.Json.GetProperty("name").GetString(), run.Json.GetProperty("layout").GetString(),
            run.Json.GetProperty("count").GetInt32()));
        Assert.Equal(
            ["cat 1", "dog 2"], run.Json.GetProperty("classes").EnumerateArray().Select(c => $"{c.GetProperty("name")} {c.GetProperty("count")}"));
        Assert.Equal(2, run.Json.GetProperty("imbalance").GetDouble());
        var sizes = run.Json.GetProperty("sizes");
        Assert.Equal(
            (2, 20, 40), (sizes.GetProperty("distinct").GetInt32(), sizes.GetProperty("smallestSide").GetInt32(),
            sizes.GetProperty("medianWidth").GetInt32()));
        Assert.Equal(folder["set/dog/bad.jpg"], run.Json.GetProperty("bad")[0].GetProperty("path").GetString());
        using var grid = File.OpenRead(folder["grid.png"]);
        Assert.Empty(PngText.Read(grid));
    }

    [Fact]
    public async Task A_bad_image_fails_when_asked_and_is_named()
    {
        using var folder = Pictures();
        File.WriteAllText(folder["set/dog/bad.jpg"], "hello");

        var run = await CommandLine.RunAsync("dataset", "inspect", folder["set"], "--on-error", "fail");

        Assert.Equal(ExitCode.Failure, run.ExitCode);
        Assert.Contains($"'{folder["set/dog/bad.jpg"]}'", run.Error, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Captions_of_lists_and_features_are_counted_with_their_lengths_and_what_is_missing()
    {
        using var folder = Pictures();
        File.WriteAllLines(folder["list.jsonl"], [
            """{"path": "set/cat/0.png", "text": "a cat"}""", """{"path": "set/dog/0.png", "text": ["a dog that barks", "a dog"]}""",
            """{"path": "set/dog/1.png"}"""]);

        var list = await CommandLine.RunAsync("dataset", "inspect", folder["list.jsonl"], "--json");
        var encoded = await CommandLine.RunAsync("encode-text", "--captions", folder["list.jsonl"], "--encoder", "formula", "--output", folder["f"]);
        var features = await CommandLine.RunAsync("dataset", "inspect", folder["f"]);

        var captions = list.Json.GetProperty("captions");
        Assert.Equal(
            (2, 1, "words", 2, 4), (captions.GetProperty("count").GetInt32(), captions.GetProperty("missing").GetProperty("no caption").GetInt32(),
            captions.GetProperty("unit").GetString(), captions.GetProperty("shortest").GetInt32(), captions.GetProperty("longest").GetInt32()));
        Assert.Equal(ExitCode.Success, encoded.ExitCode);
        Assert.Contains(
            "2, 1 with no features, 3 to 5 tokens, median 5, 128 numbers per token, encoder formula-v1", features.Output, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Codes_are_checked_against_their_hashes()
    {
        using var folder = new TemporaryFolder();
        CodeStore.Write(
            folder["codes"], new CodeManifest { Name = "two", GridSide = 1, VocabularySize = 8, ClassNames = ["a", "b"], Count = 2 }, [3, 7], [0, 1]);

        var sound = await CommandLine.RunAsync("dataset", "inspect", folder["codes"], "--json");

        Assert.Equal(
            (ExitCode.Success, "code store", 0.25),
            (sound.ExitCode, sound.Json.GetProperty("layout").GetString(), sound.Json.GetProperty("codebookUsage").GetDouble()));
        var bytes = File.ReadAllBytes(folder["codes/codes.npy"]);
        bytes[^2] = 1; // still a code
        File.WriteAllBytes(folder["codes/codes.npy"], bytes);
        var changed = await CommandLine.RunAsync("dataset", "inspect", folder["codes"]);
        Assert.Equal(ExitCode.Failure, changed.ExitCode);
        Assert.Contains("changed: codes.npy: SHA-256", changed.Output, StringComparison.Ordinal);
        Assert.Equal(ExitCode.Usage, (await CommandLine.RunAsync("dataset", "inspect", folder["codes"], "--grid", folder["x.png"])).ExitCode);
    }

    [Fact]
    public async Task Published_codes_are_recognised()
    {
        using var folder = new TemporaryFolder();
        var writer = new LlamaGenCodeWriter(folder.Path, "imagenet16");
        writer.Write(0, [1, 2], variants: 2, label: 0);
        writer.Write(1, [3, 4], variants: 2, label: 1);

        var run = await CommandLine.RunAsync("dataset", "inspect", folder.Path, "--json");

        Assert.Equal(
            ("published codes", 2, "flip"), (run.Json.GetProperty("layout").GetString(), run.Json.GetProperty("augmentations").GetInt32(),
            run.Json.GetProperty("cropPolicy").GetString()));
    }

    [Fact]
    public async Task A_path_that_is_no_dataset_is_answered_with_the_known_layouts()
    {
        using var folder = new TemporaryFolder();

        var run = await CommandLine.RunAsync("dataset", "inspect", folder.Path);

        Assert.Equal(ExitCode.Failure, run.ExitCode);
        Assert.Contains(".zip", run.Error, StringComparison.Ordinal);
    }

    private static TemporaryFolder Pictures()
    {
        var folder = new TemporaryFolder();
        foreach (var (path, width) in (ReadOnlySpan<(string, int)>)[("set/cat/1.png", 40), ("set/dog/1.png", 40), ("set/dog/2.png", 30)])
        {
            Directory.CreateDirectory(Path.GetDirectoryName(folder[path])!);
            File.WriteAllBytes(folder[path], PngWriter.Encode(new RgbImage(width, 20)));
        }

        return folder;
    }
}
