using System.Text.Json.Nodes;
using NextPatch.Core;
using NextPatch.Core.Checkpoints.Numpy;
using NextPatch.Core.Tensors;
using NextPatch.Data.Codes;

namespace NextPatch.Data.Tests.Codes;

/// <summary>Folders of codes whose files say what cannot be, or name what lies elsewhere.</summary>
public sealed class HostileStoreTests
{
    private static readonly CodeManifest Planned = new()
    {
        Name = "toy", GridSide = 2, VocabularySize = 8, ClassNames = ["a", "b"], Count = 2, ImageSide = 8,
    };

    [Theory]
    [InlineData("../victim")]
    [InlineData("/tmp/x")]
    [InlineData("..")]
    [InlineData("a/../../victim")]
    public void Names_in_a_journal_stay_in_its_folder(string name)
    {
        using var folder = new TemporaryFolder();
        Complete(folder["codes"]);
        File.WriteAllText(folder["victim"], "precious");
        File.WriteAllText(folder["victim.partial"], "other");
        Edit(folder["codes/encoding.json"], json => json["finished"]!.AsArray().Add(name));
        Assert.Contains(
            "no file or folder beside it", Assert.Throws<DataFormatException>(() => Open(folder["codes"])).Message, StringComparison.Ordinal);
        Assert.Equal(("precious", "other"), (File.ReadAllText(folder["victim"]), File.ReadAllText(folder["victim.partial"])));
        Edit(folder["codes/dataset.json"], json => json["fileHashes"]![name] = "00");
        using var store = CodeStore.Open(folder["codes"]);
        Assert.Throws<DataFormatException>(() => store.FindChangedFiles(TestContext.Current.CancellationToken));
    }

    [Theory]
    [InlineData("count", "-1")]
    [InlineData("next", "-5")]
    [InlineData("heldOutCount", "9")]
    [InlineData("skipped", "[null]")]
    public void Counts_in_a_journal_that_cannot_be_are_refused(string name, string value)
    {
        using var folder = new TemporaryFolder();
        Complete(folder["codes"]);
        Edit(folder["codes/encoding.json"], json => json["progress"]![name] = JsonNode.Parse(value));
        Assert.Contains("cannot be", Assert.Throws<DataFormatException>(() => Open(folder["codes"])).Message, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("../x")]
    [InlineData("a/b")]
    [InlineData("..")]
    public void Names_of_the_published_layout_are_names_of_folders(string name)
    {
        using var folder = new TemporaryFolder();
        Assert.Throws<ConfigException>(
            () => CodeAppender.Open(folder["codes"], Planned with { Name = name }, CodeLayout.Published, new Dictionary<string, string>()));
        Assert.Throws<ArgumentException>(() => new LlamaGenCodeWriter(folder["codes"], name));
        Assert.Equal([folder["codes"]], Directory.GetFileSystemEntries(folder.Path));
        // a title
        using var store = CodeAppender.Open(folder["store"], Planned with { Name = name }, CodeLayout.Store, new Dictionary<string, string>());
    }

    /// <summary>A killed writer of the published layout removes the files of numbers it will write again, and no others.</summary>
    [Fact]
    public void Foreign_files_among_published_ones_stay()
    {
        using var folder = new TemporaryFolder();
        using (var appender = CodeAppender.Open(folder["codes"], Planned, CodeLayout.Published, new Dictionary<string, string>()))
        {
            appender.Append([1, 2, 3, 4], [0], [], new AppendProgress { Next = 1, Count = 1 });
        }

        var part = folder["codes/toy8_codes.partial"];
        foreach (var name in new[] { "notes.txt", "x.npy", "7.txt", "-1.npy" })
        {
            File.WriteAllText(Path.Combine(part, name), "mine");
        }

        using var again = CodeAppender.Open(folder["codes"], Planned, CodeLayout.Published, new Dictionary<string, string>());
        Assert.Equal(
            ["-1.npy", "7.txt", "notes.txt", "x.npy"], Directory.GetFiles(part).Select(f => Path.GetFileName(f)).Order(StringComparer.Ordinal));
    }

    [Theory]
    [InlineData("classNames", "[\"a\", null]")]
    [InlineData("classNames", "null")]
    [InlineData("name", "null")]
    [InlineData("vocabularySize", "2147483647")]
    [InlineData("gridSide", "65536")]
    [InlineData("gridSide", "2147483647")]
    [InlineData("imageSide", "-1")]
    [InlineData("count", "9223372036854775807")]
    [InlineData("count", "1.5")]
    [InlineData("augmentations", "\"1\"")]
    public void A_manifest_says_what_can_be(string name, string value)
    {
        using var folder = new TemporaryFolder();
        Complete(folder["codes"]);
        Edit(folder["codes/dataset.json"], json => json[name] = JsonNode.Parse(value));
        Assert.Throws<DataFormatException>(() => CodeStore.Open(folder["codes"]));
    }

    [Fact]
    public void A_mark_at_the_start_of_json_is_read_over()
    {
        using var folder = new TemporaryFolder();
        Complete(folder["codes"]);
        foreach (var name in new[] { "codes/dataset.json", "codes/encoding.json" })
        {
            File.WriteAllText(folder[name], "\ufeff" + File.ReadAllText(folder[name]), new System.Text.UTF8Encoding(false));
        }

        using var appender = Open(folder["codes"]);
        Assert.True(appender.IsComplete);
        using var store = CodeStore.Open(folder["codes"]);
        Assert.Equal(2, store.Count);
    }

    [Theory]
    [InlineData(int.MaxValue)]
    [InlineData(1 << 24)]
    [InlineData(-1)]
    public void Without_a_manifest_what_is_no_code_is_said(int code)
    {
        using var folder = new TemporaryFolder();
        NpyFile.Write(folder["codes.npy"], HostTensor.From<int>(ElementType.Int32, [2, 1, 4], [0, 1, 2, 3, 4, 5, code, 7]));
        NpyFile.Write(folder["labels.npy"], HostTensor.From<int>(ElementType.Int32, [2], [0, 1]));
        Assert.Contains(
            $"image 1 has the code {code}, which is none", Assert.Throws<DataFormatException>(() => CodeStore.Open(folder.Path)).Message,
            StringComparison.Ordinal);
    }

    [Fact]
    public void Labels_that_would_make_a_billion_classes_are_refused()
    {
        using var folder = new TemporaryFolder();
        NpyFile.Write(folder["codes.npy"], HostTensor.From<int>(ElementType.Int32, [1, 1, 1], [0]));
        foreach (var label in new[] { 2_000_000_000, 1 << 20 })
        {
            NpyFile.Write(folder["labels.npy"], HostTensor.From<int>(ElementType.Int32, [1], [label]));
            Assert.Contains(
                "labels go from 0", Assert.Throws<DataFormatException>(() => CodeStore.Open(folder.Path)).Message, StringComparison.Ordinal);
        }

        NpyFile.Write(folder["labels.npy"], HostTensor.From<bool>(ElementType.Bool, [1], [true]));
        Assert.Contains("integer labels", Assert.Throws<DataFormatException>(() => CodeStore.Open(folder.Path)).Message, StringComparison.Ordinal);
    }

    private static void Complete(string folder)
    {
        using var appender = Open(folder);
        appender.Append([1, 2, 3, 4, 5, 6, 7, 0], [0, 1], [], new AppendProgress { Next = 2, Count = 2 });
        appender.Publish();
    }

    private static CodeAppender Open(string folder) => CodeAppender.Open(folder, Planned, CodeLayout.Store, new Dictionary<string, string>());

    private static void Edit(string path, Action<JsonNode> edit)
    {
        var json = JsonNode.Parse(File.ReadAllText(path))!;
        edit(json);
        File.WriteAllText(path, json.ToJsonString());
    }
}
