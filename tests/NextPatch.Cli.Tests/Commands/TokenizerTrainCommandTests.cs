using System.Globalization;
using System.Text.Json;
using NextPatch.Cli.CommandLine;
using NextPatch.Core.Checkpoints.Safetensors;
using NextPatch.Core.Imaging;
using NextPatch.Torch.Tokenizer;
using static NextPatch.Cli.Tests.CommandProcess;

namespace NextPatch.Cli.Tests.Commands;

[NoTensorLeaks]
public sealed class TokenizerTrainCommandTests
{
    /// <summary>Everything that a checkpoint can hold: average, counts of the codebook, discriminator, perturbed codes.</summary>
    private static readonly string[] WithDiscriminator =
        ["--steps", "20", "--discriminator", "patchgan", "--discriminator-start", "4", "--perturb", "--perturb-images", "0.5", "--revive-every", "3"];

    [Theory]
    [InlineData("squeezenet", "squeezeNetDistance")]
    [InlineData("vgg", "lpips")]
    public async Task A_perceptual_network_takes_part_in_training_and_measures_afterwards(string network, string figure)
    {
        using var folder = Pictures();
        var weights = network == "vgg"
            ? PerceptionFiles.WriteVgg(folder["vgg16.pth"], folder["vgg_lpips.pth"])
            : PerceptionFiles.WriteSqueezeNet(folder["squeezenet.safetensors"]);

        var run = await CommandLine.RunAsync(
            [.. Train(folder, "tok", "--image-size", "32", "--steps", "4"), "--perceptual", .. weights], CancellationToken.None);

        Assert.True(run.ExitCode == ExitCode.Success, run.Error);
        Assert.DoesNotContain("No perceptual loss", run.Error, StringComparison.Ordinal);
        var lines = File.ReadAllLines(folder["tok/metrics.jsonl"]).Select(line => JsonDocument.Parse(line).RootElement).ToArray();
        Assert.Equal(4, lines.Length);
        Assert.All(lines, line =>
        {
            Assert.InRange(line.GetProperty("perceptual").GetDouble(), 1e-4, 10);
            Assert.True(line.GetProperty("loss").GetDouble() > line.GetProperty("perceptual").GetDouble());
        });
        var eval = await CommandLine.RunAsync(
            ["tokenizer", "eval", "--images", folder["set"], "--tokenizer", folder["tok"], "--json", "--lpips", .. weights], CancellationToken.None);
        Assert.True(eval.ExitCode == ExitCode.Success, eval.Error);
        Assert.InRange(eval.Json.GetProperty(figure).GetDouble(), 1e-4, 10);
    }

    [Fact]
    public async Task A_killed_run_resumes_to_the_same_bytes()
    {
        using var folder = Pictures();
        var options = (string[])["--image-size", "24", .. WithDiscriminator];
        Assert.Equal((0, ""), await Outcome([.. Train(folder, "whole", options), "--checkpoint-every", "0"]));

        // The first time when there is a checkpoint, then in the middle of writing one.
        foreach (var isTime in (Func<bool>[])[() => File.Exists(folder["killed/latest"]), () => IsWritingCheckpoint(folder["killed"])])
        {
            await KillWhen(isTime, [.. Train(folder, "killed", options), "--checkpoint-every", "1", "--resume"]);
        }

        Assert.NotEqual(LatestOf(folder["whole"]), LatestOf(folder["killed"]));
        Assert.Equal((0, ""), await Outcome([.. Train(folder, "killed", options), "--checkpoint-every", "0", "--resume"]));
        Assert.Empty(Directory.GetDirectories(folder["killed"], ".*"));
        var files = Directory.GetFiles(folder[$"whole/{LatestOf(folder["whole"])}"], "*.safetensors")
            .Select(f => Path.GetRelativePath(folder["whole"], f)).Append("model.safetensors").Order(StringComparer.Ordinal).ToArray();
        Assert.Equal(6, files.Length); // model, average, moments; discriminator, its moments; the tokenizer beside the checkpoints
        Assert.All(files, file => Assert.Equal(File.ReadAllBytes(folder[$"whole/{file}"]), File.ReadAllBytes(folder[$"killed/{file}"])));
        Assert.Equal(Steps(folder["whole"]), Steps(folder["killed"]));
    }

    [Theory]
    [InlineData("--discriminator patchgan is given images of 16x16 pixels, but they must be at least 24x24", "--image-size", "16", "--discriminator",
        "patchgan")]
    [InlineData("must be a power of two from 8 to 1024", "--image-size", "24", "--discriminator", "stylegan")]
    [InlineData("at least 31x31 pixels, but they have 16x16", "--image-size", "16", "--perceptual", "squeezenet.safetensors")]
    public async Task Settings_that_cannot_work_are_refused_before_anything_is_written(string message, params string[] options)
    {
        using var folder = Pictures();
        PerceptionFiles.WriteSqueezeNet(folder["squeezenet.safetensors"]);
        var run = await CommandLine.RunAsync(
            Train(folder, "tok", [.. options.Select(o => o == "squeezenet.safetensors" ? folder[o] : o)]), CancellationToken.None);
        Assert.Equal(ExitCode.Usage, run.ExitCode);
        Assert.Contains(message, run.Error, StringComparison.Ordinal);
        Assert.False(Directory.Exists(folder["tok"]));
    }

    [Fact]
    public async Task The_smallest_images_that_a_discriminator_takes_are_trained_on()
    {
        using var folder = Pictures();
        foreach (var (kind, side) in new[] { ("patchgan", "24"), ("stylegan", "8") })
        {
            var run = await CommandLine.RunAsync(
                Train(folder, kind, "--image-size", side, "--discriminator", kind, "--discriminator-start", "1", "--steps", "2"),
                CancellationToken.None);
            Assert.True(run.ExitCode == ExitCode.Success, run.Error);
            using var tokenizer = VqTokenizer.Load(folder[kind]);
            Assert.Equal(side, tokenizer.Config.ImageSide.ToString(CultureInfo.InvariantCulture));
        }
    }

    [Theory]
    [InlineData("16", "Precision: fp32, because (the tokenizer has fewer than 64 channels|the processor has no bf16 dot products) \\(auto\\)")]
    [InlineData("64", "Precision: ((fp32|bf16), because convolutions of 128 channels run at \\d+ GFLOP/s in fp32 and \\d+ in bf16|fp32, because "
        + "the processor has no bf16 dot products) \\(auto\\)")]
    public async Task Auto_says_what_it_chose_and_why(string channels, string message)
    {
        using var folder = Pictures();
        Assert.Matches(
            message, (await CommandLine.RunAsync(
            [.. Train(folder, "tok", "--image-size", "16", "--steps", "2", "--channels", channels)], CancellationToken.None)).Error);
    }

    /// <summary>ch 32, ch_mult [2, 4]: a first convolution of 32 channels, then a level of 64.</summary>
    [Fact]
    public async Task A_vqgan_whose_first_multiplier_is_not_one_trains_resumes_and_encodes()
    {
        using var folder = Pictures();
        string[] options =
        [
            "--preset", "VQ-16", "--image-size", "16", "--downsample", "2", "--channels", "64", "--multipliers", "1,2", "--base-channels", "32",
            "--blocks", "1", "--codebook-dim", "4", "--latent-channels", "16",
        ];
        string[] train = Train(folder, "tok", [.. options, "--steps", "2"]);
        Assert.Equal((0, ""), await Outcome(train));
        Assert.Equal((0, ""), await Outcome([.. train, "--resume"]));

        var info = (await CommandLine.RunAsync("info", folder["tok"], "--json")).Json.GetProperty("configuration");
        Assert.Equal((32, 64), (info.GetProperty("baseChannels").GetInt32(), info.GetProperty("channels")[0].GetInt32()));
        var encoded = await CommandLine
            .RunAsync("encode", "--images", folder["set"], "--tokenizer", folder["tok"], "--output", folder["codes"], "--json");
        Assert.True(encoded.ExitCode == ExitCode.Success, encoded.Error);
        Assert.Equal(8, encoded.Json.GetProperty("gridSide").GetInt32());

        var small = await CommandLine.RunAsync([.. Train(folder, "small", "--image-size", "16", "--base-channels", "32")], CancellationToken.None);
        Assert.Equal(ExitCode.Usage, small.ExitCode);
        Assert.Contains(
            "Tokenizer BaseChannels is 32 but must be a positive multiple of 32, and only VQGAN has it.", small.Error, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_run_in_bf16_is_resumed_in_bf16()
    {
        using var folder = Pictures();
        string[] train = Train(folder, "tok", "--image-size", "16", "--steps", "2");
        Assert.Contains(
            "Precision: bf16, as asked", (await CommandLine.RunAsync([.. train, "--precision", "bf16"], CancellationToken.None)).Error,
            StringComparison.Ordinal);
        var resumed = await CommandLine.RunAsync([.. train, "--resume"], CancellationToken.None);
        Assert.True(resumed.ExitCode == ExitCode.Success, resumed.Error);
        Assert.Contains("Precision: bf16, as the run began.", resumed.Error, StringComparison.Ordinal);
        var other = await CommandLine.RunAsync([.. train, "--resume", "--precision", "fp32"], CancellationToken.None);
        Assert.Equal(ExitCode.Usage, other.ExitCode);
        Assert.Contains("""precision: "Bf16" in the checkpoint, "Fp32" now""", other.Error, StringComparison.Ordinal);
    }

    /// <summary>What is frozen keeps its bits, and the rest does not.</summary>
    [Fact]
    public async Task Frozen_parts_of_initial_weights_stay_bit_for_bit_and_the_others_learn()
    {
        using var folder = Pictures();
        Assert.Equal((0, ""), await Outcome(Train(folder, "first", "--image-size", "16", "--steps", "2")));
        var run = await CommandLine.RunAsync(
            Train(
                folder, "second", "--image-size", "16", "--steps", "4", "--continuous-steps", "0", "--init-from", folder["first"], "--freeze",
                "encoder,codebook", "--ema-decay", "0"), CancellationToken.None);

        Assert.True(run.ExitCode == ExitCode.Success, run.Error);
        Assert.Contains("Frozen: encoder, codebook. Trained: decoder.", run.Error, StringComparison.Ordinal);
        var before = SafetensorsFile.Read(folder["first/model.safetensors"]);
        var after = SafetensorsFile.Read(folder["second/model.safetensors"]);
        Assert.Contains(before.Keys, name => !IsFrozen(name));
        Assert.All(before, p => Assert.True(
            IsFrozen(p.Key) == p.Value.Bytes.Span.SequenceEqual(after[p.Key].Bytes.Span),
                $"{p.Key} {(IsFrozen(p.Key) ? "changed" : "did not change")}"));

        static bool IsFrozen(string name) => !name.StartsWith("decoder.", StringComparison.Ordinal)
            && !name.StartsWith("post_quant_conv.", StringComparison.Ordinal);
    }

    [Fact]
    public async Task Naming_a_run_continues_it_with_the_options_it_holds()
    {
        using var folder = Pictures();
        string[] train = Train(
            folder, "whole", "--image-size", "16", "--steps", "4", "--checkpoint-every", "2", "--lr", "2e-3", "--no-flips", "--validate-every", "2");
        Assert.Equal((0, ""), await Outcome(train));
        var page = File.ReadAllText(folder["whole/report.html"]);
        Assert.Contains("held-out PSNR, dB", page, StringComparison.Ordinal);
        Assert.Contains("<svg", page, StringComparison.Ordinal);
        Assert.Contains("data:image/png", page, StringComparison.Ordinal);
        var weights = File.ReadAllBytes(folder["whole/model.safetensors"]);
        Directory.Delete(folder["whole/step-00000004"], recursive: true);
        File.WriteAllText(folder["whole/latest"], "step-00000002\n");

        var resumed = await CommandLine.RunAsync("tokenizer", "train", "--resume", folder["whole"]);

        Assert.True(resumed.ExitCode == ExitCode.Success, resumed.Error);
        Assert.Equal(weights, File.ReadAllBytes(folder["whole/model.safetensors"]));
        File.Delete(folder["whole/report.html"]);
        Assert.Equal(ExitCode.Success, (await CommandLine.RunAsync("report", folder["whole"])).ExitCode);
        Assert.Equal(page, File.ReadAllText(folder["whole/report.html"]));
        var both = await CommandLine.RunAsync("tokenizer", "train", "--resume", folder["whole"], "--output", folder["other"]);
        Assert.Equal(ExitCode.Usage, both.ExitCode);
        Assert.Contains("leave --output out", both.Error, StringComparison.Ordinal);
        var decided = await CommandLine.RunAsync("tokenizer", "train", "--resume", folder["whole"], "--lr", "1e-3");
        Assert.Equal(ExitCode.Usage, decided.ExitCode);
        Assert.Contains("earningRate", decided.Error, StringComparison.Ordinal);
        var none = await CommandLine.RunAsync("tokenizer", "train", "--resume", folder["nowhere"]);
        Assert.Equal(ExitCode.Usage, none.ExitCode);
        Assert.Contains("options.json", none.Error, StringComparison.Ordinal);
    }

    private static string[] Train(TemporaryFolder folder, string output, params string[] options) =>
    [
        "tokenizer", "train", "--images", folder["set"], "--output", folder[output], .. options.Contains("--channels")
            ? Array.Empty<string>()
            : ["--channels", "16"],
        .. options.Contains("--blocks")
            ? Array.Empty<string>()
            : ["--blocks", "0"], "--codebook-size", "16", "--batch-size", "2",
        .. options.Contains("--continuous-steps")
            ? Array.Empty<string>()
            : ["--continuous-steps", "1"],
        "--log-every", "1", "--seed", "3", .. options,
    ];

    private static async Task<(int Exit, string Problem)> Outcome(string[] arguments)
    {
        var (exit, error) = await RunWithErrors(arguments);
        return (exit, exit == 0 ? "" : error);
    }

    private static string[] Steps(string run)
        => [.. File.ReadLines(Path.Combine(run, "metrics.jsonl")).Select(
            line => JsonDocument.Parse(line).RootElement.GetProperty("step").GetRawText())];

    private static TemporaryFolder Pictures()
    {
        var folder = new TemporaryFolder();
        Directory.CreateDirectory(folder["set/a"]);
        for (var i = 0; i < 8; i++)
        {
            var image = new RgbImage(40, 36);
            new Random(i).NextBytes(image.Pixels);
            File.WriteAllBytes(folder[$"set/a/{i}.png"], PngWriter.Encode(image));
        }

        return folder;
    }
}
