using System.Buffers.Binary;
using System.Diagnostics;
using System.IO.Compression;
using System.Text;
using System.Text.RegularExpressions;
using NextPatch.Core.Checkpoints.Numpy;
using NextPatch.Core.Checkpoints.Safetensors;
using NextPatch.Core.Tensors;
using NextPatch.Data.Codes;

namespace NextPatch.Cli.Tests.Commands;

/// <summary>Files that are built to take a program's time, memory or terminal: a sentence, soon.</summary>
public sealed class OddFilesTests
{
    private static readonly byte[] EmptyList = [(byte)']'], EmptyDict = [(byte)'}'], Mark = [(byte)'('];

    [Theory]
    [InlineData("itself")]
    [InlineData("nested")]
    [InlineData("shared")]
    [InlineData("wide")]
    [InlineData("keys")]
    public async Task Pickles_without_end_are_described_in_a_bounded_time(string kind)
    {
        using var folder = new TemporaryFolder();
        WriteCheckpoint(folder["a.pt"], Pickle(kind));
        var watch = Stopwatch.StartNew();
        foreach (var command in new string[][] { ["info", folder["a.pt"]], ["info", folder["a.pt"], "--json"],
            ["convert", folder["a.pt"], folder["b.npz"]] })
        {
            var result = await CommandLine.RunAsync(command);
            Assert.True(result.ExitCode is 0 or 1 or 2, result.Error);
            Assert.False(result.Error.Contains("defect", StringComparison.Ordinal), result.Error);
        }

        Assert.True(watch.Elapsed < TimeSpan.FromMinutes(2), $"{watch.Elapsed}"); // endless is what it must not be
    }

    /// <summary>Readers differ in which of the two they take, so neither is taken.</summary>
    [Fact]
    public async Task A_key_that_is_there_twice_is_refused()
    {
        using var folder = new TemporaryFolder();
        var run = SmallModel.Write(folder);
        CodeStore.Write(folder["codes"], new CodeManifest
        {
            Name = "tiny", GridSide = 2, VocabularySize = 32, ClassNames = ["a", "b"], Count = 40,
        }, [.. Enumerable.Range(0, 160).Select(i => i % 32)], [.. Enumerable.Range(0, 40).Select(i => i % 2)]);
        foreach (var (file, key, command) in new (string, string, string[])[]
        {
            ("model/step-00000005/config.json", "\"imageSide\"", ["info", run]), ("model/step-00000005/state.json", "\"step\"", ["info", run]),
            ("tokenizer/config.json", "\"imageSide\"", ["info", folder["tokenizer"]]),
            ("codes/dataset.json", "\"gridSide\"", ["info", folder["codes"]]),
            ("model/step-00000005/config.json", "\"width\"", ["sample", "--model", run, "--output", folder["out"]]),
        })
        {
            var sound = File.ReadAllText(folder[file]);
            var member = Regex.Match(sound, key + @": [^,\s]+");
            Assert.True(member.Success, $"{file} has no {key}");
            File.WriteAllText(folder[file], sound.Insert(member.Index, member.Value + ", "));
            var result = await CommandLine.RunAsync(command);
            Assert.True(result.ExitCode == 1 && !result.Error.Contains("defect", StringComparison.Ordinal), $"{file} {key}: {result.Error}");
            Assert.Contains("uplicate", result.Error, StringComparison.Ordinal);
            File.WriteAllText(folder[file], sound);
        }
    }

    [Theory]
    [InlineData("cpu")]
    [InlineData("torch")]
    public async Task A_tokenizer_whose_weights_are_not_finite_is_refused_by_both_engines(string engine)
    {
        using var folder = new TemporaryFolder();
        var run = SmallModel.Write(folder);
        var file = folder["tokenizer/model.safetensors"];
        var tensors = SafetensorsFile.Read(file);
        var name = tensors.Keys.First(k => k.StartsWith("decoder.", StringComparison.Ordinal));
        var bytes = tensors[name].Bytes.ToArray();
        BinaryPrimitives.WriteSingleLittleEndian(bytes.AsSpan(4), float.NaN);
        SafetensorsFile.Write(
            file, tensors.ToDictionary(p => p.Key, p => p.Key == name ? new HostTensor(p.Value.Type, p.Value.Shape, bytes) : p.Value));

        var result = await CommandLine.RunAsync("sample", "--model", run, "--engine", engine, "--count", "1", "--output", folder["out"]);

        Assert.Equal(1, result.ExitCode);
        Assert.Contains($"'{name}' holds a number that is not finite (element 1", result.Error, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Deep_json_is_a_sentence()
    {
        using var folder = new TemporaryFolder();
        var run = SmallModel.Write(folder);
        var deep = new string('[', 200_000) + new string(']', 200_000);
        foreach (var (file, command) in new (string, string[])[]
        {
            (Path.Combine(run, "step-00000005", "config.json"), ["info", run]), (Path.Combine(run, "step-00000005", "state.json"), ["info", run]),
            (folder["tokenizer/config.json"], ["info", folder["tokenizer"]]),
        })
        {
            var sound = File.ReadAllText(file);
            foreach (var text in new[] { deep, "{\"model\": " + deep + "}" })
            {
                File.WriteAllText(file, text);
                var result = await CommandLine.RunAsync(command);
                Assert.True(result.ExitCode == 1 && !result.Error.Contains("defect", StringComparison.Ordinal), result.Error);
            }

            File.WriteAllText(file, sound);
        }

        File.WriteAllText(folder["m.index.json"], "{\"weight_map\": " + deep + "}");
        Assert.Equal(1, (await CommandLine.RunAsync("info", folder["m.index.json"])).ExitCode);
        File.WriteAllText(folder["l.jsonl"], deep);
        Assert.Equal(1, (await CommandLine.RunAsync("dataset", "inspect", folder["l.jsonl"])).ExitCode);
    }

    /// <summary>In names of tensors, metadata, paths, class names: on no stream, in no layout.</summary>
    [Fact]
    public async Task No_control_character_of_a_file_reaches_the_terminal()
    {
        using var folder = new TemporaryFolder();
        const string Evil = "a\u001b]0;owned\u0007\u001b[31m\u009b2J\rb\u202e";
        SafetensorsFile.Write(
            folder["a.safetensors"], new Dictionary<string, HostTensor> { [Evil] = HostTensor.FromSingles([1], [1]) },
            new Dictionary<string, string> { [Evil] = Evil });
        Directory.CreateDirectory(folder[$"set/{Evil}"]);
        File.WriteAllBytes(folder[$"set/{Evil}/{Evil}.png"], [1]);
        foreach (var command in new string[][]
        {
            ["info", folder["a.safetensors"]], ["info", folder["a.safetensors"], "--json"], ["info", folder[Evil]],
            ["dataset", "inspect", folder["set"]],
            ["dataset", "inspect", folder["set"], "--json"], ["convert", folder["a.safetensors"], folder["a.pt"]],
            ["sample", "--model", folder[Evil]],
            [Evil], ["info", "--" + Evil], ["train", "--codes", Evil, "--output", folder["x"]],
        })
        {
            var result = await CommandLine.RunAsync(command);
            Assert.DoesNotContain(result.Output + result.Error, c => c is '\u001b' or '\u0007' or '\u009b' or '\r' or '\u202e');
        }

        var json = (await CommandLine.RunAsync("info", folder["a.safetensors"], "--json")).Json;
        Assert.Equal(Evil, json.GetProperty("tensors")[0].GetProperty("name").GetString()); // escaped, and still the same text
    }

    [Fact]
    public async Task A_pipe_is_named_by_every_command_that_is_given_one()
    {
        Assert.SkipUnless(OperatingSystem.IsLinux(), "no named pipes to make here");
        using var folder = new TemporaryFolder();
        var run = SmallModel.Write(folder);
        foreach (var name in new[] { "p.safetensors", "p.pt", "p.npz", "p.npy", "p.png", "p.json", "p.index.json", "p.csv", "p.tar", "p" })
        {
            Process.Start("mkfifo", folder[name]).WaitForExit();
            foreach (var command in new string[][]
            {
                ["info", folder[name]], ["convert", folder[name], folder["out.npz"]], ["dataset", "inspect", folder[name]],
                ["sample", "--model", folder[name]], ["sample", "--model", run, "--tokenizer", folder[name], "--count", "1"],
                ["train", "--codes", folder[name], "--output", folder["x"]],
                ["train", "--config", folder[name], "--codes", "c", "--output", folder["x"]],
                ["encode", "--images", folder[name], "--tokenizer", folder["tokenizer"], "--output", folder["x"]],
                ["evaluate", "--samples", folder[name], "--reference", folder[name], "--weights", folder[name]],
                ["tokenizer", "train", "--images", folder[name], "--output", folder["x"]],
            })
            {
                var work = CommandLine.RunAsync(command);
                Assert.True(await Task.WhenAny(work, Task.Delay(TimeSpan.FromSeconds(60))) == work, string.Join(' ', command));
                Assert.True((await work).ExitCode is 1 or 2 && !(await work).Error.Contains("defect", StringComparison.Ordinal),
                    string.Join(' ', command) + (await work).Error);
            }
        }
    }

    [Fact]
    public async Task Names_that_a_format_keeps_for_itself_are_a_sentence()
    {
        using var folder = new TemporaryFolder();
        NpzFile.Write(folder["a.npz"], [KeyValuePair.Create("__metadata__", StoredTensor.From(HostTensor.FromSingles([1], [1])))]);
        var result = await CommandLine.RunAsync("convert", folder["a.npz"], folder["a.safetensors"]);
        Assert.True(result.ExitCode == 2 && result.Error.Contains("'__metadata__' cannot be kept", StringComparison.Ordinal), result.Error);
        Assert.Equal(0, (await CommandLine.RunAsync("convert", folder["a.npz"], folder["a.pt"])).ExitCode);
    }

    [Fact]
    public async Task Info_lists_what_the_sums_list_and_is_not_there()
    {
        using var folder = new TemporaryFolder();
        var step = Path.Combine(SmallModel.Write(folder), "step-00000005");
        File.WriteAllText(Path.Combine(step, "SHA256SUMS"), $"{new string('0', 64)}  optimizer.safetensors\n");
        Assert.Contains("missing      optimizer.safetensors", (await CommandLine.RunAsync("info", step)).Output, StringComparison.Ordinal);
    }

    /// <summary>A dictionary with one tensor-free member of the kind.</summary>
    private static byte[] Pickle(string kind) => kind switch
    {
        "itself" => [0x80, 2, .. EmptyDict, (byte)'q', 0, .. Text("self"), (byte)'h', 0, (byte)'s', .. EmptyList, (byte)'q', 1, (byte)'h', 1,
            (byte)'a',
            (byte)'0', (byte)'.'],
        "nested" => [0x80, 2, .. EmptyDict, .. Text("deep"), .. Enumerable.Repeat(EmptyList[0], 200_000), .. Enumerable.Repeat((byte)'a', 199_999),
            (byte)'s', (byte)'.'],
        "shared" => [0x80, 2, .. EmptyDict, .. Text("laughs"), .. EmptyList, (byte)'q', 0, .. Laughs(), (byte)'s', (byte)'.'],
        "wide" => [0x80, 2, .. EmptyDict, .. Text("wide"), .. EmptyList, (byte)'q', 0, .. Mark, .. Enumerable.Repeat((byte)'N', 200_000), (byte)'e',
            .. EmptyList, (byte)'q', 1, .. Mark, .. Enumerable.Range(0, 100_000).SelectMany(_ => new byte[] { (byte)'h', 0 }), (byte)'e', (byte)'s',
                (byte)'.'],
        _ => [0x80, 2, .. EmptyDict, .. Text(new string('k', 100_000)), (byte)'N', (byte)'s', (byte)'.'],
    };

    /// <summary>Fifty lists of two references each to the one before: 2^50 paths.</summary>
    private static byte[] Laughs() => [.. Enumerable.Range(1, 50).SelectMany(i => new byte[]
        { (byte)'0', EmptyList[0], (byte)'q', (byte)i, (byte)'(', (byte)'h', (byte)(i - 1), (byte)'h', (byte)(i - 1), (byte)'e' })];

    private static byte[] Text(string text)
    {
        var bytes = new byte[5 + text.Length];
        bytes[0] = (byte)'X';
        BinaryPrimitives.WriteInt32LittleEndian(bytes.AsSpan(1), text.Length);
        Encoding.ASCII.GetBytes(text, bytes.AsSpan(5));
        return bytes;
    }

    private static void WriteCheckpoint(string path, byte[] pickle)
    {
        using var archive = ZipFile.Open(path, ZipArchiveMode.Create);
        using var entry = archive.CreateEntry("a/data.pkl", CompressionLevel.NoCompression).Open();
        entry.Write(pickle);
    }
}
