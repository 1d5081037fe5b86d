using NextPatch.Cli.CommandLine;
using NextPatch.Core.Imaging;
using NextPatch.Data.Imaging;

namespace NextPatch.Cli.Tests.Commands;

public sealed class SampleEngineTests
{
    [Fact]
    public async Task Both_engines_draw_the_same_codes()
    {
        using var folder = new TemporaryFolder();
        var model = SmallModel.Write(folder, withTokenizer: false);
        foreach (var engine in new[] { "cpu", "torch", "auto" })
        {
            var run = await CommandLine.RunAsync("sample", "--model", model, "--count", "5", "--engine", engine, "--output", folder[engine]);
            Assert.Equal(ExitCode.Success, run.ExitCode);
            Assert.Contains(engine == "torch" ? "TorchSharp (CPU)" : "C# (CPU, fp32)", run.Error, StringComparison.Ordinal);
        }

        var codes = await File.ReadAllBytesAsync(folder["cpu/codes.npz"]);
        Assert.Equal(codes, await File.ReadAllBytesAsync(folder["torch/codes.npz"]));
        Assert.Equal(codes, await File.ReadAllBytesAsync(folder["auto/codes.npz"]));
    }

    [Fact]
    public async Task Without_a_model_the_built_in_one_draws()
    {
        using var folder = new TemporaryFolder();
        var run = await CommandLine.RunAsync("sample", "--class", "heart", "--count", "2", "--output", folder["out"]);
        Assert.Equal(ExitCode.Success, run.ExitCode);
        Assert.True(File.Exists(folder["out/000001.png"]));
    }

    [Fact]
    public async Task A_stopped_set_is_continued_with_the_images_that_are_there()
    {
        using var folder = new TemporaryFolder();
        string[] draw = ["sample", "--count", "130", "--seed", "3", "--output"];
        Assert.Equal(ExitCode.Success, (await CommandLine.RunAsync([.. draw, folder["whole"]])).ExitCode);

        // As a kill leaves it: two parts of 64, one image of the second damaged, one of the third of another seed, no archive.
        Directory.CreateDirectory(folder["part"]);
        for (var i = 0; i < 128; i++)
        {
            File.Copy(folder[$"whole/{i:D6}.png"], folder[$"part/{i:D6}.png"]);
        }

        await File.WriteAllBytesAsync(folder["part/000070.png"], (await File.ReadAllBytesAsync(folder["whole/000070.png"]))[..200]);
        var old = File.GetLastWriteTimeUtc(folder["part/000005.png"]).AddDays(-1);
        File.SetLastWriteTimeUtc(folder["part/000005.png"], old);
        await CommandLine.RunAsync("sample", "--count", "130", "--seed", "4", "--output", folder["other"]);
        File.Copy(folder["other/000129.png"], folder["part/000129.png"]);

        foreach (var name in new[] { "000900.png.partial", "000901.webp.partial", "mine.png.partial", "7.png.partial" })
        {
            File.WriteAllText(folder["part/" + name], "half");
        }

        Assert.Equal(ExitCode.Success, (await CommandLine.RunAsync([.. draw, folder["part"], "--resume"])).ExitCode);
        Assert.Equal(
            ["7.png.partial", "mine.png.partial"], Directory.GetFiles(folder["part"], "*.partial").Select(Path.GetFileName).Order());
        foreach (var name in new[] { "samples.npz", "grid.png", "samples.json", "000070.png", "000129.png" })
        {
            Assert.Equal(await File.ReadAllBytesAsync(folder["whole/" + name]), await File.ReadAllBytesAsync(folder["part/" + name]));
        }

        Assert.Equal(old, File.GetLastWriteTimeUtc(folder["part/000005.png"])); // it was not drawn again
        Assert.Equal(ExitCode.Usage, (await CommandLine.RunAsync([.. draw, folder["part"], "--resume", "--format", "webp"])).ExitCode);
    }

    /// <summary>Weights that record no tokenizer draw with any that fits.</summary>
    [Theory]
    [InlineData("--tokenizer", "other")]
    [InlineData("--precision", "bf16")]
    public async Task Images_of_another_tokenizer_or_precision_are_drawn_again(string option, string value)
    {
        using var folder = new TemporaryFolder();
        var model = SmallModel.Write(folder);
        SmallCodes.WriteTokenizer(folder["other"], gridSide: 2, seed: 4);
        string[] draw = ["sample", "--model", model, "--count", "2", "--output", folder["out"]];
        string[] other = [option, option == "--tokenizer" ? folder[value] : value];
        await CommandLine.RunAsync(draw);
        var first = await File.ReadAllBytesAsync(folder["out/000000.png"]);
        Dictionary<string, string> text;
        using (var file = File.OpenRead(folder["out/000000.png"]))
        {
            text = new(PngText.Read(file));
        }

        var run = await CommandLine.RunAsync([.. draw, .. other, "--resume"]);
        await CommandLine.RunAsync([.. draw[..^1], folder["expected"], .. other]);

        Assert.True(run.ExitCode == ExitCode.Success, run.Error);
        foreach (var name in new[] { "000000.png", "samples.npz", "samples.json" })
        {
            Assert.Equal(await File.ReadAllBytesAsync(folder["expected/" + name]), await File.ReadAllBytesAsync(folder["out/" + name]));
        }

        // A file of an earlier version does not say either; it counts as drawn so.
        Assert.True(text.Remove("tokenizerHash") & text.Remove("precision"));
        await File.WriteAllBytesAsync(folder["out/000000.png"], first);
        var earlier = PictureEncoder.Encode(ImageDecoder.Decode(folder["out/000000.png"]), PictureFormat.Png, text);
        await File.WriteAllBytesAsync(folder["out/000000.png"], earlier);
        await CommandLine.RunAsync([.. draw, .. other, "--resume"]);
        Assert.Equal(earlier, await File.ReadAllBytesAsync(folder["out/000000.png"]));
    }

    /// <summary>Parts of 64 images go to shards in turn: the second of three has images 64 to 127, the third the last two.</summary>
    [Fact]
    public async Task Shards_draw_what_one_process_draws()
    {
        using var folder = new TemporaryFolder();
        string[] draw = ["sample", "--count", "130", "--seed", "3", "--output"];
        Assert.Equal(ExitCode.Success, (await CommandLine.RunAsync([.. draw, folder["whole"]])).ExitCode);
        foreach (var (shard, count) in new[] { ("3/3", 2), ("1/3", 66), ("2/3", 130) })
        {
            Assert.Equal(ExitCode.Success, (await CommandLine.RunAsync([.. draw, folder["parts"], "--shard", shard])).ExitCode);
            Assert.Equal(count, Directory.GetFiles(folder["parts"]).Length);
        }

        var old = File.GetLastWriteTimeUtc(folder["parts/000005.png"]).AddDays(-1);
        File.SetLastWriteTimeUtc(folder["parts/000005.png"], old);
        Assert.Equal(ExitCode.Success, (await CommandLine.RunAsync([.. draw, folder["parts"], "--resume"])).ExitCode);
        Assert.Equal(old, File.GetLastWriteTimeUtc(folder["parts/000005.png"]));
        foreach (var file in Directory.GetFiles(folder["whole"]))
        {
            Assert.Equal(await File.ReadAllBytesAsync(file), await File.ReadAllBytesAsync(folder["parts/" + Path.GetFileName(file)]));
        }

        foreach (var (shard, reason) in new[] { ("0/3", "no part"), ("4/3", "no part"), ("2", "no part"), ("rank", "neither mpirun nor srun") })
        {
            var run = await CommandLine.RunAsync([.. draw, folder["no"], "--shard", shard]);
            Assert.Equal(ExitCode.Usage, run.ExitCode);
            Assert.Contains(reason, run.Error, StringComparison.Ordinal);
        }
    }

    [Theory]
    [InlineData("webp", ".webp")]
    [InlineData("jpeg", ".jpg")]
    public async Task Other_formats_look_the_same_and_the_archive_keeps_every_bit(string format, string extension)
    {
        using var folder = new TemporaryFolder();
        string[] draw = ["sample", "--class", "heart", "--count", "2", "--output"];
        Assert.Equal(ExitCode.Success, (await CommandLine.RunAsync([.. draw, folder["png"]])).ExitCode);
        Assert.Equal(ExitCode.Success, (await CommandLine.RunAsync([.. draw, folder["out"], "--format", format])).ExitCode);
        Assert.Equal(await File.ReadAllBytesAsync(folder["png/samples.npz"]), await File.ReadAllBytesAsync(folder["out/samples.npz"]));
        var (exact, lossy) = (ImageDecoder.Decode(folder["png/000001.png"]), ImageDecoder.Decode(folder["out/000001" + extension]));
        Assert.Equal((exact.Width, exact.Height), (lossy.Width, lossy.Height));
        Assert.InRange(PeakSignalToNoise.Compute(exact.Pixels, lossy.Pixels), 25, 60);
        Assert.False(File.Exists(folder["out/000001.png"]));
    }

    [Fact]
    public async Task Black_parts_of_a_mask_and_kept_rows_stay()
    {
        using var folder = new TemporaryFolder();
        var run = await CommandLine.RunAsync("sample", "--class", "heart", "--count", "1", "--output", folder["heart"]);
        Assert.Equal(ExitCode.Success, run.ExitCode);
        var mask = new byte[32 * 32 * 3];
        mask.AsSpan(31 * 32 * 3).Fill(255); // the last line: the last row of codes
        new RgbImage(32, 32, mask).SavePng(folder["mask.png"]);
        string[][] ways = [["--mask", folder["mask.png"]], ["--keep-rows", "7"]];
        foreach (var (way, output) in ways.Zip(["a", "b"]))
        {
            run = await CommandLine.RunAsync(
                ["sample", "--class", "star", "--count", "3", "--image", folder["heart/000000.png"], "--output", folder[output], .. way]);
            Assert.Equal(ExitCode.Success, run.ExitCode);
        }

        Assert.Equal(await File.ReadAllBytesAsync(folder["a/samples.npz"]), await File.ReadAllBytesAsync(folder["b/samples.npz"]));
        string[][] mistakes =
        [
            ["--mask", folder["mask.png"]], ["--keep-rows", "3"], ["--image", folder["heart/000000.png"]],
            ["--image", folder["heart/000000.png"], "--keep-rows", "8"],
        ];
        foreach (var mistake in mistakes)
        {
            Assert.Equal(ExitCode.Usage, (await CommandLine.RunAsync(["sample", "--output", folder["c"], .. mistake])).ExitCode);
        }
    }
}
