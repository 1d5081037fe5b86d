using System.Globalization;
using NextPatch.Cli.CommandLine;
using NextPatch.Core.Checkpoints.PyTorch;
using NextPatch.Core.Configuration;
using NextPatch.Core.Imaging;
using NextPatch.Data.Codes;
using NextPatch.Data.Imaging;
using NextPatch.Evaluation.Metrics;
using NextPatch.Models;
using NextPatch.Torch.Loading;
using NextPatch.Torch.Tokenizer;

namespace NextPatch.Cli.Tests.Commands;

[NoTensorLeaks]
public sealed class TokenizerCommandTests
{
    private const int Side = 16;

    [Fact]
    public async Task Eval_measures_what_the_tokenizer_gives_back()
    {
        using var folder = new TemporaryFolder();
        var images = WriteImages(folder["set/train/a"], 3).Concat(WriteImages(folder["set/train/b"], 2)).ToArray();
        using var tokenizer = WriteTokenizer(folder["tok"]);

        var run = await CommandLine.RunAsync("tokenizer", "eval", "--images", folder["set/train"], "--tokenizer", folder["tok"], "--json");

        Assert.True(run.ExitCode == ExitCode.Success, run.Error);
        var (crops, codes, decoded) = PassThrough(tokenizer, images);
        Assert.Equal(crops.Zip(decoded, Psnr).Average(), run.Json.GetProperty("psnr").GetDouble(), 1e-9);
        Assert.Equal(
            crops.Zip(decoded, (c, d) => StructuralSimilarity.Compute(c, d, Side)).Average(), run.Json.GetProperty("ssim").GetDouble(), 1e-9);
        var shares = codes.GroupBy(c => c).Select(g => (double)g.Count() / codes.Length).ToArray();
        Assert.Equal(shares.Length / 32.0, run.Json.GetProperty("codebookUsage").GetDouble());
        Assert.Equal(Math.Exp(-shares.Sum(s => s * Math.Log(s))), run.Json.GetProperty("perplexity").GetDouble(), 1e-9);
        Assert.Equal(
            (5, Side, WeightsHash.ComputeForTokenizer(folder["tok"])),
            (run.Json.GetProperty("count").GetInt32(), run.Json.GetProperty("imageSize").GetInt32(),
            run.Json.GetProperty("tokenizerHash").GetString()!));
        Assert.False(run.Json.TryGetProperty("lpips", out _));
    }

    [Fact]
    public async Task Eval_takes_the_test_part_a_count_and_skips_bad_images_when_asked()
    {
        using var folder = new TemporaryFolder();
        WriteImages(folder["set/train/a"], 2);
        WriteImages(folder["set/test/a"], 6);
        File.WriteAllText(folder["set/test/a/3.png"], "hello");
        using var tokenizer = WriteTokenizer(folder["tok"]);
        string[] command = ["tokenizer", "eval", "--images", folder["set"], "--tokenizer", folder["tok"], "--json"];

        var test = await CommandLine.RunAsync([.. command, "--on-error", "skip"], CancellationToken.None);
        Assert.Equal(
            ("test", 5, 1), (test.Json.GetProperty("part").GetString(), test.Json.GetProperty("count").GetInt32(),
            test.Json.GetProperty("skipped").GetInt32()));
        Assert.Equal(2, (await CommandLine.RunAsync([.. command, "--part", "train"], CancellationToken.None)).Json.GetProperty("count").GetInt32());
        // 0.png and the bad 3.png
        var spread = await CommandLine.RunAsync([.. command, "--count", "2", "--on-error", "skip"], CancellationToken.None);
        Assert.Equal((1, 1), (spread.Json.GetProperty("count").GetInt32(), spread.Json.GetProperty("skipped").GetInt32()));

        var failed = await CommandLine.RunAsync(command, CancellationToken.None);
        Assert.Equal(ExitCode.Failure, failed.ExitCode);
        Assert.Contains("3.png", failed.Error, StringComparison.Ordinal);
        Assert.Equal(ExitCode.Usage, (await CommandLine.RunAsync([.. command, "--count", "0"], CancellationToken.None)).ExitCode);
        Assert.Equal(ExitCode.Usage, (await CommandLine.RunAsync([.. command, "--image-size", "32"], CancellationToken.None)).ExitCode);
    }

    [Fact]
    public async Task Eval_of_a_published_file_takes_another_size_and_perturbed_codes_are_worse()
    {
        using var folder = new TemporaryFolder();
        WriteImages(folder["set/a"], 2);
        using (var tokenizer = new VqTokenizer(
            new TokenizerConfig
            {
                Architecture = TokenizerArchitecture.Vqgan, ImageSide = 8, DownsamplingFactor = 2, Channels = [32, 32], BlockCounts = [1, 1],
                LatentChannels = 16, CodebookSize = 32, CodeWidth = 4,
            }, seed: 1))
        {
            PyTorchFile.Write(folder["vq.pt"], StateLoader.Capture(tokenizer).Where(p => p.Key != "quantize.codebook_used"));
        }

        var run = await CommandLine.RunAsync(
            "tokenizer", "eval", "--images", folder["set"], "--tokenizer", folder["vq.pt"], "--image-size", "12", "--perturb-codes", "1",
                "--perturb-neighbours", "32", "--seed", "5", "--json");

        Assert.True(run.ExitCode == ExitCode.Success, run.Error);
        Assert.Equal((12, 6), (run.Json.GetProperty("imageSize").GetInt32(), run.Json.GetProperty("gridSide").GetInt32()));
        var perturbed = run.Json.GetProperty("perturbed");
        Assert.Equal((1.0, 32), (perturbed.GetProperty("codeShare").GetDouble(), perturbed.GetProperty("neighbours").GetInt32()));
        Assert.NotEqual(run.Json.GetProperty("psnr").GetDouble(), perturbed.GetProperty("psnr").GetDouble());
    }

    [Fact]
    public async Task With_a_feature_network_eval_gives_distances_under_its_name()
    {
        using var folder = new TemporaryFolder();
        WriteImages(folder["set/a"], 6);
        using var tokenizer = WriteTokenizer(folder["tok"]);
        var weights = SmallResNet.Write(folder["net.safetensors"]);

        var run = await CommandLine.RunAsync(
            "tokenizer", "eval", "--images", folder["set"], "--tokenizer", folder["tok"], "--weights", weights, "--perturb-codes", "1",
            "--perturb-neighbours", "8", "--json");

        Assert.True(run.ExitCode == ExitCode.Success, run.Error);
        Assert.True(run.Json.GetProperty("rfd").GetDouble() > 0);
        Assert.NotEqual(run.Json.GetProperty("rfd").GetDouble(), run.Json.GetProperty("pfd").GetDouble());
        Assert.False(run.Json.TryGetProperty("rfid", out _));
        Assert.Equal((SmallResNet.Name, "clean"), (run.Json.GetProperty("network").GetString(), run.Json.GetProperty("resize").GetString()));
    }

    [Fact]
    public async Task Eval_without_json_is_a_table()
    {
        using var folder = new TemporaryFolder();
        WriteImages(folder["set/a"], 1);
        using var tokenizer = WriteTokenizer(folder["tok"]);

        var run = await CommandLine.RunAsync("tokenizer", "eval", "--images", folder["set"], "--tokenizer", folder["tok"]);

        Assert.Contains("codebook usage", run.Output, StringComparison.Ordinal);
        Assert.Contains(" dB", run.Output, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Reconstruct_writes_what_comes_back_and_a_grid_of_pairs()
    {
        using var folder = new TemporaryFolder();
        var images = WriteImages(folder["set/a"], 3);
        using var tokenizer = WriteTokenizer(folder["tok"]);

        var run = await CommandLine.RunAsync(
            "tokenizer", "reconstruct", "--images", folder["set"], "--tokenizer", folder["tok"], "--output", folder["out"]);

        Assert.True(run.ExitCode == ExitCode.Success, run.Error);
        Assert.Equal(["000000.png", "000001.png", "000002.png", "grid.png"], Directory.GetFiles(folder["out"]).Select(Path.GetFileName).Order());
        var (crops, _, decoded) = PassThrough(tokenizer, images);
        Assert.All(Enumerable.Range(0, 3), i => Assert.Equal(
            decoded[i], ImageDecoder.Decode(File.ReadAllBytes(folder[$"out/{i:D6}.png"]), "").Pixels));
        using var file = File.OpenRead(folder["out/000002.png"]);
        Assert.Equal(folder["set/a/2.png"], PngText.Read(file)["source"]);

        // Enlarged four times, two pixels around each: the first original, then its reconstruction.
        var grid = ImageDecoder.Decode(File.ReadAllBytes(folder["out/grid.png"]), "");
        Assert.Equal(crops[0][..3], grid.Pixels.AsSpan(((2 * grid.Width) + 2) * 3, 3).ToArray());
        Assert.Equal(decoded[0][..3], grid.Pixels.AsSpan(((2 * grid.Width) + 2 + 64 + 2) * 3, 3).ToArray());
    }

    [Fact]
    public async Task Reconstruct_decodes_codes_and_refuses_those_of_another_tokenizer()
    {
        using var folder = new TemporaryFolder();
        using var tokenizer = WriteTokenizer(folder["tok"]);
        var codes = Enumerable.Range(0, 3 * 2 * 16).Select(i => i * 7 % 32).ToArray();
        var manifest = new CodeManifest
        {
            Name = "c", GridSide = 4, VocabularySize = 32, ClassNames = ["a"], Count = 3, Augmentations = 2,
            TokenizerHash = WeightsHash.ComputeForTokenizer(folder["tok"]),
        };
        CodeStore.Write(folder["codes"], manifest, codes, [0, 0, 0]);
        CodeStore.Write(folder["foreign"], manifest with { TokenizerHash = new string('a', 64) }, codes, [0, 0, 0]);

        var run = await CommandLine.RunAsync(
            "tokenizer", "reconstruct", "--codes", folder["codes"], "--tokenizer", folder["tok"], "--output", folder["out"]);

        Assert.True(run.ExitCode == ExitCode.Success, run.Error);
        var expected = tokenizer.DecodePixels(codes.AsMemory(2 * 2 * 16, 16), CancellationToken.None);
        Assert.Equal(expected, ImageDecoder.Decode(File.ReadAllBytes(folder["out/000002.png"]), "").Pixels);
        var foreign = await CommandLine
            .RunAsync("tokenizer", "reconstruct", "--codes", folder["foreign"], "--tokenizer", folder["tok"], "--output", folder["out"]);
        Assert.Equal(ExitCode.Failure, foreign.ExitCode);
        Assert.Contains("aaaaaaaaaaaa", foreign.Error, StringComparison.Ordinal);
        Assert.Equal(ExitCode.Usage, (await CommandLine.RunAsync("tokenizer", "reconstruct", "--tokenizer", folder["tok"])).ExitCode);
    }

    private static double Psnr(byte[] original, byte[] reconstruction)
        => 10 * Math.Log10(1 / original.Zip(reconstruction, (a, b) => Math.Pow((a - b) / 255.0, 2)).Average());

    private static VqTokenizer WriteTokenizer(string folder)
    {
        var tokenizer = new VqTokenizer(
            new TokenizerConfig { ImageSide = Side, DownsamplingFactor = 4, CodebookSize = 32, Channels = [16, 16], BlockCounts = [0, 1] }, seed: 3);
        tokenizer.SaveTo(folder);
        return tokenizer;
    }

    private static RgbImage[] WriteImages(string folder, int count)
    {
        Directory.CreateDirectory(folder);
        var random = new Random(folder.Length);
        return [.. Enumerable.Range(0, count).Select(i =>
        {
            var image = new RgbImage(20 + i, 24);
            random.NextBytes(image.Pixels);
            File.WriteAllBytes(Path.Combine(folder, i.ToString(CultureInfo.InvariantCulture) + ".png"), PngWriter.Encode(image));
            return image;
        })];
    }

    private static (byte[][] Crops, int[] Codes, byte[][] Decoded) PassThrough(VqTokenizer tokenizer, RgbImage[] images)
    {
        var crops = images.Select(image => ImageCrops.Centre(image, Side).Pixels).ToArray();
        var codes = crops.Select(crop => tokenizer.EncodePixels(crop, CancellationToken.None)).ToArray();
        return (crops, [.. codes.SelectMany(c => c)], [.. codes.Select(c => tokenizer.DecodePixels(c, CancellationToken.None))]);
    }
}
