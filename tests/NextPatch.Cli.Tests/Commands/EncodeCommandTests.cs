using System.Text.RegularExpressions;
using NextPatch.Cli.CommandLine;
using NextPatch.Core.Configuration;
using NextPatch.Core.Imaging;
using NextPatch.Data.Codes;
using NextPatch.Data.Datasets;
using NextPatch.Data.Sources;
using NextPatch.Models;
using NextPatch.Torch.Tokenizer;

namespace NextPatch.Cli.Tests.Commands;

[NoTensorLeaks]
public sealed partial class EncodeCommandTests
{
    private const int Train = 40;
    private const int Val = 6;

    [Theory]
    [InlineData("store", "center")]
    [InlineData("store", "flip")]
    [InlineData("published", "ten")]
    public async Task Codes_are_those_of_the_tokenizer_in_the_order_of_the_images(string layout, string crops)
    {
        using var folder = Pictures();
        var run = await EncodeAsync(folder, "codes", "--layout", layout, "--crops", crops, "--batch-size", "4");

        Assert.True(run.ExitCode == ExitCode.Success, run.Error);
        using var store = CodeStore.Open(folder["codes"]);
        Assert.Equal((Train + Val, Val, layout == "published"), (store.Count, store.Manifest.HeldOutCount, store.IsPublishedLayout));
        Assert.Equal(WeightsHash.ComputeForTokenizer(folder["tokenizer"]), store.Manifest.TokenizerHash);
        using var tokenizer = VqTokenizer.Load(folder["tokenizer"]);
        using var parts = DatasetReader.OpenParts(folder["set"], TestContext.Current.CancellationToken);
        foreach (var (image, source, place) in new[] { (0, parts.Train, 0), (23, parts.Train, 23), (Train + Val - 1, parts.Test!, Val - 1) })
        {
            var views = crops switch { "flip" => ImageViews.Flip(8), "ten" => ImageViews.Ten(8), _ => ImageViews.Centre(8) };
            var pixels = new byte[views.Count * 8 * 8 * 3];
            views.Write(source.Decode(place), pixels);
            Assert.Equal(tokenizer.EncodePixels(pixels, TestContext.Current.CancellationToken), Read(store, image));
            Assert.Equal(source.Label(place), store.Label(image));
        }

        Assert.Equal(ExitCode.Success, (await CommandLine.RunAsync("dataset", "inspect", folder["codes"])).ExitCode);
    }

    [Fact]
    public async Task Either_engine_encodes_and_one_does_not_continue_what_the_other_began()
    {
        using var folder = Pictures();
        foreach (var engine in new[] { "cpu", "torch", "auto" })
        {
            var run = await EncodeAsync(folder, engine, "--engine", engine, "--batch-size", "4");
            Assert.True(run.ExitCode == ExitCode.Success, run.Error);
            Assert.Contains(
                engine == "torch" ? "\"NextPatch.Torch\"" : "\"NextPatch.Cpu\"", await File.ReadAllTextAsync(folder[engine + "/encoding.json"]),
                StringComparison.Ordinal);
        }

        var codes = await File.ReadAllBytesAsync(folder["cpu/codes.npy"]);
        Assert.Equal(codes, await File.ReadAllBytesAsync(folder["torch/codes.npy"]));
        Assert.Equal(codes, await File.ReadAllBytesAsync(folder["auto/codes.npy"]));

        var other = await EncodeAsync(folder, "torch", "--engine", "cpu", "--batch-size", "4");
        Assert.Equal(ExitCode.Usage, other.ExitCode);
        Assert.Contains("engine: NextPatch.Torch there, now NextPatch.Cpu", other.Error, StringComparison.Ordinal);

        // From before engines were recorded.
        var journal = folder["cpu/encoding.json"];
        var old = Regex.Replace(await File.ReadAllTextAsync(journal), "\"engine\"\\s*:\\s*\"NextPatch.Cpu\",", "");
        Assert.DoesNotContain("engine", old, StringComparison.Ordinal);
        await File.WriteAllTextAsync(journal, old);
        Assert.Equal(ExitCode.Success, (await EncodeAsync(folder, "cpu", "--engine", "torch", "--batch-size", "4")).ExitCode);
    }

    [Fact]
    public async Task Bad_images_are_named_and_left_out_or_stop_the_run_which_then_continues()
    {
        using var folder = Pictures();
        File.WriteAllText(folder["set/train/b/05.png"], "hello");
        var stopped = await EncodeAsync(folder, "codes", "--batch-size", "4");
        Assert.Equal(ExitCode.Failure, stopped.ExitCode);
        Assert.Contains($"'{folder["set/train/b/05.png"]}'", stopped.Error, StringComparison.Ordinal);
        Assert.False(CodeStore.IsCodeFolder(folder["codes"]));

        var skipped = await EncodeAsync(folder, "codes", "--batch-size", "4", "--on-error", "skip");

        Assert.Equal(ExitCode.Success, skipped.ExitCode);
        Assert.Equal(
            (24, Train + Val - 1, 1), (skipped.Json.GetProperty("resumedAt").GetInt32(), skipped.Json.GetProperty("count").GetInt32(),
            skipped.Json.GetProperty("skippedCount").GetInt32()));
        Assert.Equal(folder["set/train/b/05.png"], skipped.Json.GetProperty("skipped")[0].GetProperty("path").GetString());
        using var store = CodeStore.Open(folder["codes"]);
        Assert.Equal((Train + Val - 1, Val), (store.Count, store.Manifest.HeldOutCount));
        var whole = await EncodeAsync(folder, "whole", "--batch-size", "4", "--on-error", "skip");
        Assert.Equal(ExitCode.Success, whole.ExitCode);
        AssertSame(folder["whole"], folder["codes"]);
    }

    [Fact]
    public async Task A_batch_that_no_array_holds_is_refused()
    {
        using var folder = Pictures();
        using (var tokenizer = new VqTokenizer(
            new TokenizerConfig { ImageSide = 64, DownsamplingFactor = 4, CodebookSize = 32, Channels = [16, 16], BlockCounts = [1, 1] }, seed: 3))
        {
            tokenizer.SaveTo(folder["tokenizer"]);
        }

        var run = await EncodeAsync(folder, "codes", "--crops", "ten", "--batch-size", "65533");
        Assert.Equal(ExitCode.Usage, run.ExitCode);
        Assert.Contains("take a smaller --batch-size", run.Error, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Bad_images_at_the_end_are_counted()
    {
        using var folder = Pictures();
        File.WriteAllText(folder["set/val/b/02.png"], "hello");
        var run = await EncodeAsync(folder, "codes", "--batch-size", "5", "--on-error", "skip"); // 45 good ones: nine whole batches, then nothing
        Assert.Equal(
            (45, 5, 1), (run.Json.GetProperty("count").GetInt32(), run.Json.GetProperty("heldOutCount").GetInt32(),
            run.Json.GetProperty("skippedCount").GetInt32()));
    }

    [Theory]
    [InlineData("store")]
    [InlineData("published")]
    public async Task Stopped_run_continues_and_ends_with_the_same_bytes(string layout)
    {
        using var folder = Pictures();
        string[] options = ["--layout", layout, "--crops", "flip", "--batch-size", "4"];
        await EncodeAsync(folder, "whole", options);
        for (var attempt = 0; !CodeStore.IsCodeFolder(folder["stopped"]); attempt++)
        {
            Assert.True(attempt < 100);
            using var stop = new CancellationTokenSource();
            var stopping = Task.Run(async () =>
            {
                // After the journal has moved on, wherever the run is then.
                for (var before = Journal(folder); Journal(folder) == before && !CodeStore.IsCodeFolder(folder["stopped"]);)
                {
                    await Task.Delay(1);
                }

                await stop.CancelAsync();
            });
            var run = await CommandLine.RunAsync(Arguments(folder, "stopped", options), stop.Token);
            await stopping;
            Assert.Contains(run.ExitCode, new[] { ExitCode.Success, ExitCode.Cancelled });
        }

        AssertSame(folder["whole"], folder["stopped"]);
        var again = await EncodeAsync(folder, "stopped", options);
        Assert.Equal((ExitCode.Success, Train + Val), (again.ExitCode, again.Json.GetProperty("resumedAt").GetInt32()));
        var other = await EncodeAsync(folder, "stopped", ["--layout", layout, "--crops", "ten", "--batch-size", "4"]);
        Assert.Equal(ExitCode.Usage, other.ExitCode);
        Assert.Contains("crops: flip there, now ten-crop", other.Error, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Published_tokenizers_take_images_of_other_sizes()
    {
        using var folder = Pictures();
        using (var tokenizer = new VqTokenizer(
            new TokenizerConfig
            {
                Architecture = TokenizerArchitecture.Vqgan, ImageSide = 8, DownsamplingFactor = 2, CodebookSize = 32, Channels = [32, 32],
                BlockCounts = [1, 1], LatentChannels = 16,
            }, seed: 1))
        {
            tokenizer.SaveTo(folder["tokenizer"]);
        }

        var run = await EncodeAsync(folder, "codes", "--image-size", "12", "--part", "val", "--precision", "bf16");
        Assert.True(run.ExitCode == ExitCode.Success, run.Error);
        Assert.Equal(
            (6, 6, "bf16"), (run.Json.GetProperty("gridSide").GetInt32(), run.Json.GetProperty("count").GetInt32(),
            run.Json.GetProperty("precision").GetString()));
        Assert.Equal(ExitCode.Usage, (await EncodeAsync(folder, "odd", "--image-size", "13")).ExitCode);
    }

    [Theory]
    [InlineData("--batch-size", "0")]
    [InlineData("--held-out", "1")]
    [InlineData("--crop-range", "0.9")]
    [InlineData("--image-size", "16")]
    public async Task Settings_that_cannot_work_are_named(string option, string value)
    {
        using var folder = Pictures();
        var run = await EncodeAsync(folder, "codes", option, value);
        Assert.Equal(ExitCode.Usage, run.ExitCode);
        Assert.Contains($"{option} {value}", run.Error, StringComparison.Ordinal);
    }

    private static Task<CommandLine> EncodeAsync(TemporaryFolder folder, string output, params string[] options)
        => CommandLine.RunAsync(Arguments(folder, output, options));

    private static string[] Arguments(TemporaryFolder folder, string output, string[] options)
        => ["encode", "--images", folder["set"], "--tokenizer", folder["tokenizer"], "--output", folder[output], "--json", .. options];

    private static string? Journal(TemporaryFolder folder)
    {
        try
        {
            return File.ReadAllText(folder["stopped/encoding.json"]);
        }
        catch (IOException)
        {
            return null;
        }
    }

    private static TemporaryFolder Pictures()
    {
        var folder = new TemporaryFolder();
        foreach (var (part, count) in new[] { ("train", Train), ("val", Val) })
        {
            for (var i = 0; i < count; i++)
            {
                var path = folder[$"set/{part}/{(i < count / 2 ? "a" : "b")}/{i % (count / 2):00}.png"];
                Directory.CreateDirectory(Path.GetDirectoryName(path)!);
                var image = new RgbImage(12, 10);
                new Random((i * 2) + part.Length).NextBytes(image.Pixels);
                File.WriteAllBytes(path, PngWriter.Encode(image));
            }
        }

        using var tokenizer = new VqTokenizer(
            new TokenizerConfig { ImageSide = 8, DownsamplingFactor = 4, CodebookSize = 32, Channels = [16, 16], BlockCounts = [1, 1] }, seed: 3);
        tokenizer.SaveTo(folder["tokenizer"]);
        return folder;
    }

    private static int[] Read(CodeStore store, int image)
    {
        var codes = new int[store.Augmentations * store.CodesPerImage];
        for (var a = 0; a < store.Augmentations; a++)
        {
            store.ReadCodes(image, a, codes.AsSpan(a * store.CodesPerImage, store.CodesPerImage));
        }

        return codes;
    }

    private static void AssertSame(string expected, string actual)
    {
        var names = Names(expected);
        Assert.Equal(names, Names(actual));
        Assert.All(names, name => Assert.Equal(File.ReadAllBytes(Path.Combine(expected, name)), File.ReadAllBytes(Path.Combine(actual, name))));
    }

    private static string[] Names(string folder)
        => [.. Directory.EnumerateFiles(folder, "*",
            SearchOption.AllDirectories).Select(f => Path.GetRelativePath(folder, f)).Order(StringComparer.Ordinal)];
}
