using System.Text.Json.Nodes;
using NextPatch.Core.Imaging;

namespace NextPatch.Cli.Tests.Commands;

/// <summary>
/// Every text in every JSON and text file of a run, a folder of codes, a model folder and a tokenizer is replaced by what would lead elsewhere if it
/// became a path: whatever a command says to it, nothing outside of its folders changes, and inside of them nothing that the program did not write.
/// </summary>
/// <remarks>NEXTPATCH_FUZZ sets the number of cases, NEXTPATCH_FUZZ_SEED the first; each has its own seed, which a failure names.</remarks>
public sealed class HostileTextTests : IDisposable
{
    private const int DefaultCases = 40;
    private static readonly string[] TextFiles = ["latest", "SHA256SUMS"];

    private readonly TemporaryFolder _folder = new();

    /// <summary>Where the folders lie that commands work in; decoys lie above, beside and inside of them.</summary>
    private string Place => _folder["a/b"];

    public void Dispose() => _folder.Dispose();

    [Fact]
    public async Task No_text_in_a_file_leads_out_of_its_folder()
    {
        await Make();
        var places = Directory.GetFiles(Place, "*", SearchOption.AllDirectories)
            .Where(f => Path.GetExtension(f) == ".json" || TextFiles.Contains(Path.GetFileName(f)))
            .SelectMany(file => Enumerable.Range(0, CountTexts(file)).Select(text => (File: Path.GetRelativePath(Place, file), Text: text))).ToList();
        Assert.True(places.Count > 60, $"{places.Count}");
        var cases = int.TryParse(Environment.GetEnvironmentVariable("NEXTPATCH_FUZZ"), out var asked) ? asked : DefaultCases;
        _ = int.TryParse(Environment.GetEnvironmentVariable("NEXTPATCH_FUZZ_SEED"), out var firstSeed);
        for (var i = 0; i < cases; i++)
        {
            var random = new Random(firstSeed + i);

            // One case in four is of the names that decide most.
            var (file, text) = i % 4 == 0 && places.Where(p => p.File.EndsWith("latest", StringComparison.Ordinal)
                || p.File.EndsWith("encoding.json", StringComparison.Ordinal)).ToList() is var telling ? telling[random.Next(telling.Count)]
                : places[random.Next(places.Count)];
            await Try(file, text, Hostile()[random.Next(Hostile().Length)], $"seed {firstSeed + i}");
        }
    }

    private string[] Hostile() =>
    [
        "../../victim", "../victim", "../../victim/", "victim", "victim/", "", ".", "..", "/", _folder["a/victim"], _folder["a/victim/file"],
        "..\\..\\victim", "a\0b", "step-00000002/../../../victim", "./step-00000002", "\u001b[31mred", new string('x', 5000), "~", "file:///victim",
        "../../victim.npy", "../x", "con", " ", "step-00000004/", "step-99999999999999999999",
    ];

    /// <summary>
    /// A dataset of images, tokenizer, codes in both layouts, a run of two checkpoints, a model folder of several files; and decoys.
    /// </summary>
    private async Task Make()
    {
        Directory.CreateDirectory(Place);
        Directory.Move(Path.GetDirectoryName(SmallModel.Write(_folder))! is var made ? Path.Combine(made, "tokenizer") : "", At("tokenizer"));
        Directory.Delete(_folder["model"], recursive: true);
        foreach (var (name, i) in new[] { "cat/1.png", "cat/2.png", "dog/1.png", "dog/2.png" }.Select((n, i) => (n, i)))
        {
            Directory.CreateDirectory(Path.GetDirectoryName(At($"images/{name}"))!);
            new RgbImage(8, 8, [.. Enumerable.Range(0, 192).Select(k => (byte)((k * 7 * (i + 1)) % 256))]).SavePng(At($"images/{name}"));
        }

        await Succeed(Encode("codes", "store"));
        await Succeed(Encode("files", "published"));
        await Succeed(Train("run"));
        await Succeed(["convert", At("run"), At("folder") + "/", "--max-shard-size", "20KB"]);
        foreach (var decoy in Decoys().Select(At))
        {
            Directory.CreateDirectory(Path.GetDirectoryName(decoy)!);
            File.WriteAllText(decoy, "precious");
        }
    }

    /// <summary>Relative to the place: above it, beside the folders, and in them under names near to those that the program gives.</summary>
    private static IEnumerable<string> Decoys() =>
    [
        "../victim/file", "../../victim/file", "../victim.npy", "../x", "../x.partial", "victim/file", "victim.npy", "victim.partial/file",
        "victim.npy.partial", "x.partial",
        .. new[] { "run", "codes", "files", "folder", "tokenizer" }.SelectMany(folder => new[]
        {
            $"{folder}/victim/file", $"{folder}/notes.txt", $"{folder}/.writing-notes/file", $"{folder}/step-old/file",
            $"{folder}/.removing-mine/file", $"{folder}/damaged-step-00000004/file", $"{folder}/.write-test",
        }),
    ];

    private async Task Try(string file, int text, string hostile, string seed)
    {
        using var saved = new TemporaryFolder();
        CopyAll(Place, saved["b"]);
        var change = Replace(At(file), text, hostile);
        var before = Contents();
        foreach (var command in Commands(file.Split(Path.DirectorySeparatorChar)[0]))
        {
            var result = await CommandLine.RunAsync(command);
            var what = $"{seed}: {file}: {change}, then {string.Join(' ', command)}: exit {result.ExitCode}\n{result.Error}";
            Assert.True(result.ExitCode is 0 or 1 or 2, what);
            Assert.False(result.Error.Contains("defect of NextPatch", StringComparison.Ordinal), what);
            Assert.False(
                result.Error.Contains('\u001b', StringComparison.Ordinal) || result.Output.Contains('\u001b', StringComparison.Ordinal), what);
            var after = Contents();
            Assert.True(before.All(f => after.GetValueOrDefault(f.Key) == f.Value), what + string.Join(", ", before.Keys.Except(after.Keys)));
            Assert.True(after.Keys.All(before.ContainsKey), what + string.Join(", ", after.Keys.Except(before.Keys)));
        }

        Directory.Delete(Place, recursive: true);
        CopyAll(saved["b"], Place);
    }

    private string[][] Commands(string folder) => folder switch
    {
        "run" =>
        [
            ["info", At("run")], ["info", At("run"), "--verify"], ["sample", "--model", At("run"), "--count", "1", "--output", At("out/samples")],
            ["convert", At("run"), At("out/run.npz")], [.. Train("run"), "--resume"],
        ],
        "codes" => [["info", At("codes")], ["dataset", "inspect", At("codes")], Encode("codes", "store"), Train("out/run", "codes")],
        "files" => [["dataset", "inspect", At("files")], Encode("files", "published"), Train("out/run", "files")],
        "folder" =>
        [
            ["info", At("folder")], ["sample", "--model", At("folder"), "--count", "1", "--output", At("out/samples")],
            ["info", At("folder/model.safetensors.index.json")],
        ],
        _ => [["info", At("tokenizer")], Encode("out/codes", "store")],
    };

    private string[] Train(string output, string codes = "codes") =>
    [
        "train", "--codes", At(codes), "--output", At(output), "--preset", "tiny", "--precision", "fp32", "--batch-size", "2", "--steps", "4",
        "--checkpoint-every", "2", "--ema-decay", "0.5", "--log-every", "1",
    ];

    private string[] Encode(string output, string layout)
        => ["encode", "--images", At("images"), "--tokenizer", At("tokenizer"), "--output", At(output), "--layout", layout, "--name", "pets"];

    private string At(string name) => Path.GetFullPath(Path.Combine(Place, name));

    /// <summary>Everything that no command here may change, by path: decoys, and whatever lies outside of the place.</summary>
    private Dictionary<string, string> Contents()
    {
        var decoys = Decoys().Select(At).ToHashSet();
        return Directory.GetFiles(_folder.Path, "*", SearchOption.AllDirectories)
            .Where(f => decoys.Contains(f) || !f.StartsWith(Place + Path.DirectorySeparatorChar, StringComparison.Ordinal))
            .ToDictionary(f => f, File.ReadAllText);
    }

    private static async Task Succeed(string[] command)
    {
        var result = await CommandLine.RunAsync(command);
        Assert.True(result.ExitCode == 0, $"{string.Join(' ', command)}\n{result.Error}");
    }

    private static int CountTexts(string file) => TextFiles.Contains(Path.GetFileName(file))
        ? File.ReadAllLines(file).Length
        : Texts(JsonNode.Parse(File.ReadAllText(file))!).Count();

    /// <returns>What was replaced.</returns>
    private static string Replace(string file, int text, string hostile)
    {
        if (TextFiles.Contains(Path.GetFileName(file)))
        {
            var lines = File.ReadAllLines(file);
            var start = lines[text].LastIndexOf(' ') + 1; // of a sum the name behind it
            var old = lines[text];
            lines[text] = lines[text][..start] + hostile;
            File.WriteAllLines(file, lines);
            return $"'{old}' -> '{lines[text]}'";
        }

        var root = JsonNode.Parse(File.ReadAllText(file))!;
        var (parent, key, isName) = Texts(root).ElementAt(text);
        var was = parent is JsonArray ? parent.AsArray()[int.Parse(key)]!.ToJsonString() : key;
        switch (parent)
        {
            case JsonArray list:
                list[int.Parse(key)] = hostile;
                break;
            case JsonObject map when isName && !map.ContainsKey(hostile):
                var value = map[key]?.DeepClone();
                map.Remove(key);
                map[hostile] = value;
                break;
            case JsonObject map:
                map[key] = hostile;
                break;
            default:
                break;
        }

        File.WriteAllText(file, root.ToJsonString());
        return $"{(isName ? "name" : "text")} {was} -> '{hostile}'";
    }

    /// <summary>Texts and names in JSON, each by where it stands.</summary>
    private static IEnumerable<(JsonNode Parent, string Key, bool IsName)> Texts(JsonNode node) => node switch
    {
        JsonObject map => map.SelectMany(p => (IEnumerable<(JsonNode, string, bool)>)
            [(map, p.Key, true), .. p.Value is JsonValue v && v.TryGetValue<string>(
                out _) ? [(map, p.Key, false)] : Array.Empty<(JsonNode, string, bool)>(),
                .. p.Value is null ? [] : Texts(p.Value)]),
        JsonArray list => list.SelectMany((item, i) => (IEnumerable<(JsonNode, string, bool)>)
            [.. item is JsonValue v && v.TryGetValue<string>(out _) ? [(list, $"{i}", false)] : Array.Empty<(JsonNode, string, bool)>(),
                .. item is null ? [] : Texts(item)]),
        _ => [],
    };

    private static void CopyAll(string from, string to)
    {
        foreach (var file in Directory.GetFiles(from, "*", SearchOption.AllDirectories))
        {
            var target = Path.Combine(to, Path.GetRelativePath(from, file));
            Directory.CreateDirectory(Path.GetDirectoryName(target)!);
            File.Copy(file, target);
        }
    }
}
