using NextPatch.Core;
using NextPatch.Core.Checkpoints.Numpy;
using NextPatch.Core.Tensors;
using NextPatch.Text.Features;

namespace NextPatch.Text.Tests.Features;

public sealed class TextEncodingTests : IDisposable
{
    private readonly TemporaryFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    [Fact]
    public void Store_and_published_layout_hold_the_same_features()
    {
        Lines("c.x.jsonl", """{"text": "a red star"}""", "no json", """{"text": ["short", "long"]}""", "", """{"image_path": "a.png"}""",
            """{"text": "2x4"}""");

        var result = Run("c.x.jsonl", "store");
        Run("c.x.jsonl", "published", o => o with { Layout = FeatureLayout.Published });

        Assert.Equal((6, 3, 1), (result.Count, result.Encoded, result.Emptied));
        Assert.Equal([("blank line", 1), ("no JSON", 1), ("no caption", 1)], result.Unusable.Select(p => (p.Key, p.Value)));
        using var store = FeatureStore.Open(_folder["store"]);
        Assert.Equal([4, 0, 2, 0, 0, 1], Enumerable.Range(0, store.Count).Select(store.Length));
        Assert.Equal(["0.npy", "2.npy", "5.npy"],
            Directory.GetFiles(_folder["published/c"]).Select(Path.GetFileName).Order(StringComparer.Ordinal));
        foreach (var line in (int[])[0, 2, 5])
        {
            var file = FeatureStore.ReadPublished(_folder[$"published/c/{line}.npy"]);
            var features = new float[store.Length(line) * store.Width];
            store.Read(line, features);
            Assert.Equal([1, store.Length(line), 128], file.Shape);
            Assert.Equal(features, file.ToSingles());
        }

        Assert.All(["store", "published"], f => Assert.Contains("\"encoder\":\"formula-v1\"", File.ReadAllText(_folder[f + "/encoding.json"]),
            StringComparison.Ordinal));
    }

    [Fact]
    public void A_file_without_a_usable_caption_is_refused_and_its_folder_stays_free()
    {
        Lines("c.jsonl", "", """{"words": "a star"}""", """{"text": []}""");

        var message = Assert.Throws<NextPatchException>(() => Run("c.jsonl", "out")).Message;

        Assert.Contains("blank line: 1 lines, no caption: 1 lines, no caption of that index: 1 lines", message, StringComparison.Ordinal);
        Lines("c.jsonl", [.. Enumerable.Repeat("", 600), """{"captions": ["a star", "a red star"]}"""]); // more blank lines than are encoded at once
        var result = Run("c.jsonl", "out");
        Assert.Equal((601, 1, 3), (result.Count, result.Encoded, result.Tokens));
    }

    [Theory]
    [InlineData("Store")]
    [InlineData("Published")]
    public void A_stopped_run_continues_to_the_same_bytes(string name)
    {
        var layout = Enum.Parse<FeatureLayout>(name);
        Lines("c.txt", [.. Enumerable.Range(0, 500).Select(i => $"caption {i} of many")]);
        Run("c.txt", "whole", o => o with { Layout = layout });
        for (var stops = 1; stops <= 2; stops++)
        {
            using var stop = new CancellationTokenSource();
            Assert.Throws<OperationCanceledException>(() => Run("c.txt", "stopped", o => o with { Layout = layout }, stop));
            if (layout == FeatureLayout.Store) // a kill may leave half a caption
            {
                File.AppendAllText(_folder["stopped/features.npy.partial"], "half");
                File.AppendAllText(_folder["stopped/captions.partial"], "half");
            }
        }

        Run("c.txt", "stopped", o => o with { Layout = layout });

        Assert.Equal(Files("whole"), Files("stopped"));
        foreach (var file in Files("whole"))
        {
            Assert.Equal(File.ReadAllBytes(_folder["whole/" + file]), File.ReadAllBytes(_folder["stopped/" + file]));
        }

        var again = Run("c.txt", "whole", o => o with { Layout = layout });
        Assert.Equal(500, again.Encoded);
    }

    [Fact]
    public void Other_settings_do_not_mix_with_what_is_there()
    {
        Lines("c.txt", "a red star");
        Run("c.txt", "out");

        var message = Assert.Throws<ConfigException>(() => Run("c.txt", "out", o => o with { MaxTokens = 8 })).Message;

        Assert.Contains("maxTokens was 120 and is now 8", message, StringComparison.Ordinal);
    }

    [Fact]
    public void Long_captions_are_cut_and_keep_their_end()
    {
        Lines("c.txt", string.Join(' ', Enumerable.Repeat("word", 200)), new string('x', 900_000));

        var result = Run("c.txt", "out");

        Assert.Equal((2, 120 + 2), (result.Cut, result.Tokens));
    }

    [Fact]
    public void Tables_and_lists_are_read()
    {
        File.WriteAllText(_folder["c.csv"], "id,caption\r\n1,\"a \"\"red\"\", star\"\r\n2,\r\n3,plain");
        File.WriteAllText(_folder["c.tsv"], "Prompt\tCategory\na, b\tx\n");
        Lines("c.jsonl", """{"text": ["short", "long"]}""");

        Assert.Equal(["a \"red\", star", "", "plain"], CaptionFile.Read(_folder["c.csv"], 0).Select(c => c.Text));
        Assert.Equal([null, "blank line", null], CaptionFile.Read(_folder["c.csv"], 0).Select(c => c.Problem));
        Assert.Equal(["a, b"], CaptionFile.Read(_folder["c.tsv"], 0).Select(c => c.Text));
        Assert.Equal(["long"], CaptionFile.Read(_folder["c.jsonl"], 1).Select(c => c.Text));
        Assert.Equal(["no caption of that index"], CaptionFile.Read(_folder["c.jsonl"], 2).Select(c => c.Problem));
        File.WriteAllText(_folder["other.csv"], "a,b\n1,2\n");
        Assert.Contains("no column of captions", Assert.Throws<NextPatchException>(() => CaptionFile.Read(_folder["other.csv"], 0)).Message,
            StringComparison.Ordinal);
        Assert.Contains("does not exist", Assert.Throws<NextPatchException>(() => CaptionFile.Read(_folder["none.txt"], 0)).Message,
            StringComparison.Ordinal);
    }

    [Fact]
    public void Damaged_features_are_refused()
    {
        Lines("c.txt", "a red star", "a blue star");
        Run("c.txt", "out");
        NpyFile.Write(_folder["out/offsets.npy"], HostTensor.From<long>(ElementType.Int64, [3], [0, 9, 8]));
        NpyFile.Write(_folder["nan.npy"], HostTensor.FromSingles([1, 1, 2], [1, float.NaN]));
        NpyFile.Write(_folder["flat.npy"], HostTensor.FromSingles([2], [1, 2]));

        Assert.Throws<DataFormatException>(() => FeatureStore.Open(_folder["out"]));
        Assert.Throws<DataFormatException>(() => FeatureStore.ReadPublished(_folder["nan.npy"]));
        Assert.Throws<DataFormatException>(() => FeatureStore.ReadPublished(_folder["flat.npy"]));
    }

    private List<string> Files(string folder) => [.. Directory.GetFiles(_folder[folder], "*", SearchOption.AllDirectories)
        .Select(f => Path.GetRelativePath(_folder[folder], f)).Order(StringComparer.Ordinal)];

    private void Lines(string name, params string[] lines) => File.WriteAllLines(_folder[name], lines);

    private TextEncodingResult Run(
        string captions, string output, Func<TextEncodingOptions, TextEncodingOptions>? change = null, CancellationTokenSource? stop = null)
    {
        var options = new TextEncodingOptions { Captions = _folder[captions], Encoder = "formula", Output = _folder[output] };
        return TextEncoding.Run(change?.Invoke(options) ?? options, stop is null ? null : new StopAtOnce(stop), stop?.Token ?? default);
    }

    private sealed class StopAtOnce(CancellationTokenSource stop) : IProgress<int>
    {
        public void Report(int value) => stop.Cancel();
    }
}
