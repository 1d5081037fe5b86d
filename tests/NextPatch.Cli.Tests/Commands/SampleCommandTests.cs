using System.Security.Cryptography;
using System.Text.Json;
using NextPatch.Cli.CommandLine;
using NextPatch.Core.Checkpoints.Numpy;
using NextPatch.Core.Checkpoints.PyTorch;
using NextPatch.Core.Configuration;
using NextPatch.Core.Generation;
using NextPatch.Core.Imaging;
using NextPatch.Models;
using NextPatch.Sampling;
using NextPatch.Torch.Loading;
using NextPatch.Torch.Tokenizer;

namespace NextPatch.Cli.Tests.Commands;

[NoTensorLeaks]
public sealed class SampleCommandTests
{
    [Fact]
    public async Task A_run_is_sampled_into_images_a_grid_an_archive_and_their_description()
    {
        using var folder = new TemporaryFolder();
        var model = SmallModel.Write(folder);

        var run = await CommandLine.RunAsync("sample", "--model", model, "--count", "5", "--seed", "9", "--output", folder["out"]);

        Assert.True(run.ExitCode == ExitCode.Success, run.Error);
        Assert.Contains("ema", run.Error, StringComparison.Ordinal);
        Assert.Equal(
            ["000000.png", "000001.png", "000002.png", "000003.png", "000004.png", "grid.png", "samples.json", "samples.npz"],
            Directory.GetFiles(folder["out"]).Select(Path.GetFileName).Order());
        var archive = NpzFile.Read(folder["out/samples.npz"]);
        Assert.Equal(["arr_0"], archive.Keys);
        Assert.Equal("UInt8 [5, 8, 8, 3]", archive["arr_0"].ToString());
        using var stream = File.OpenRead(folder["out/000004.png"]);
        var text = PngText.Read(stream);
        Assert.Equal(("9", "4", "1", "star", "ema"), (text["seed"], text["index"], text["class"], text["className"], text["weights"]));
        Assert.Contains("--cfg-scale 2 ", text["settings"], StringComparison.Ordinal);
        Assert.Equal(64, text["modelHash"].Length);
    }

    [Fact]
    public async Task An_image_does_not_depend_on_how_many_were_asked_for()
    {
        using var folder = new TemporaryFolder();
        var model = SmallModel.Write(folder);

        var few = await CommandLine.RunAsync("sample", "--model", model, "--count", "3", "--output", folder["few"]);
        var many = await CommandLine.RunAsync("sample", "--model", model, "--count", "70", "--output", folder["many"]);

        Assert.Equal((ExitCode.Success, ExitCode.Success), (few.ExitCode, many.ExitCode));
        Assert.All(["000000.png", "000001.png", "000002.png"],
            name => Assert.Equal(File.ReadAllBytes(folder[$"few/{name}"]), File.ReadAllBytes(folder[$"many/{name}"])));
    }

    [Fact]
    public void A_set_drawn_in_two_parts_is_the_set_drawn_at_once()
    {
        using var folder = new TemporaryFolder();
        using var model = SampleModel.Load(SmallModel.Write(folder));
        var whole = new GenerationRequest { Labels = [.. Enumerable.Range(0, 68).Select(i => i % 3)], Seed = 4 };

        new SampleWriter(model).Write(folder["whole"], null, whole, progress: null, CancellationToken.None);
        new SampleWriter(model).Write(
            folder["part"], folder["images"], whole with
            {
                Labels = [.. whole.Labels.Skip(66)],
                FirstIndex = 66,
            }, progress: null, CancellationToken.None);

        Assert.All(["000066.png", "000067.png"], name => Assert.Equal(
            File.ReadAllBytes(folder[$"whole/{name}"]), File.ReadAllBytes(folder[$"images/{name}"])));
        Assert.Equal(["grid.png", "samples.json", "samples.npz"], Directory.GetFiles(folder["part"]).Select(Path.GetFileName).Order());
    }

    [Fact]
    public async Task Averaged_and_raw_weights_are_different_and_said()
    {
        using var folder = new TemporaryFolder();
        var model = SmallModel.Write(folder);

        var raw = await CommandLine.RunAsync("sample", "--model", model, "--count", "2", "--weights", "model", "--output", folder["raw"]);
        var averaged = await CommandLine.RunAsync("sample", "--model", model, "--count", "2", "--weights", "ema", "--output", folder["averaged"]);

        Assert.Contains("raw weights", raw.Error, StringComparison.Ordinal);
        Assert.Contains("EMA weights", averaged.Error, StringComparison.Ordinal);
        Assert.NotEqual(ModelHash(folder["raw/000000.png"]), ModelHash(folder["averaged/000000.png"]));
    }

    [Fact]
    public async Task Without_a_tokenizer_codes_are_written()
    {
        using var folder = new TemporaryFolder();
        var model = SmallModel.Write(folder, withTokenizer: false);

        var run = await CommandLine.RunAsync(
            "sample", "--model", model, "--count", "4", "--class", "star", "--class", "0", "--output", folder["out"]);

        Assert.True(run.ExitCode == ExitCode.Success, run.Error);
        var archive = NpzFile.Read(folder["out/codes.npz"]);
        Assert.Equal("Int32 [4, 4]", archive["codes"].ToString());
        Assert.Equal([1, 0, 1, 0], archive["labels"].ToInt64());
        Assert.All(archive["codes"].ToInt64(), code => Assert.InRange(code, 0, 31));
    }

    [Theory]
    [InlineData("fp32")]
    [InlineData("bf16")]
    public async Task A_published_file_is_sampled_by_the_text_of_a_class(string precision)
    {
        using var folder = new TemporaryFolder();
        var model = PublishedModel.Write(folder["c2i.pt"], classCount: 1000, gridSide: 3);

        var run = await CommandLine.RunAsync(
            "sample", "--model", model, "--class", "Golden Retriever", "--class", "207", "--count", "2", "--precision", precision, "--output",
            folder["out"]);

        Assert.True(run.ExitCode == ExitCode.Success, run.Error);
        var archive = NpzFile.Read(folder["out/codes.npz"]);
        Assert.Equal("Int32 [2, 9]", archive["codes"].ToString());
        Assert.Equal([207, 207], archive["labels"].ToInt64());
        var set = JsonDocument.Parse(await File.ReadAllTextAsync(folder["out/samples.json"])).RootElement;
        Assert.Equal(Convert.ToHexStringLower(SHA256.HashData(await File.ReadAllBytesAsync(model))), set.GetProperty("modelHash").GetString());
        Assert.Equal("ema", set.GetProperty("weights").GetString());
    }

    [Fact]
    public async Task Published_files_of_model_and_tokenizer_give_images()
    {
        using var folder = new TemporaryFolder();
        var model = PublishedModel.Write(folder["c2i.pt"], classCount: 1000, gridSide: 3);
        using (var tokenizer = new VqTokenizer(
            new TokenizerConfig
            {
                Architecture = TokenizerArchitecture.Vqgan, ImageSide = 8, DownsamplingFactor = 2, Channels = [32, 32], BlockCounts = [1, 1],
                LatentChannels = 16, CodebookSize = PublishedModel.VocabularySize, CodeWidth = 4,
            }, seed: 1))
        {
            PyTorchFile.Write(folder["vq.pt"], StateLoader.Capture(tokenizer).Where(p => p.Key != "quantize.codebook_used"));
        }

        var run = await CommandLine.RunAsync(
            "sample", "--model", model, "--tokenizer", folder["vq.pt"], "--class", "golden retriever", "--count", "2", "--output", folder["out"]);

        Assert.True(run.ExitCode == ExitCode.Success, run.Error);
        Assert.Equal([2L, 6, 6, 3], NpzFile.Read(folder["out/samples.npz"])["arr_0"].Shape);
        using var image = File.OpenRead(folder["out/000000.png"]);
        Assert.Equal("207", PngText.Read(image)["class"]);
    }

    [Theory]
    [InlineData(false, "bicubic")]
    [InlineData(true, "bicubic, antialiased")]
    public async Task Images_are_written_at_the_size_they_are_judged_at(bool isAntialiased, string filter)
    {
        using var folder = new TemporaryFolder();
        var model = SmallModel.Write(folder);

        var run = await CommandLine.RunAsync(
            ["sample", "--model", model, "--count", "3", "--output", folder["out"], "--image-size-eval", "6",
            .. isAntialiased ? ["--antialias"] : Array.Empty<string>()], CancellationToken.None);

        Assert.True(run.ExitCode == ExitCode.Success, run.Error);
        var written = NpzFile.Read(folder["out/samples.npz"])["arr_0"];
        Assert.Equal([3L, 6, 6, 3], written.Shape);
        Assert.Equal(JudgedAtSix(model, isAntialiased), written.Bytes.ToArray());
        var set = JsonDocument.Parse(await File.ReadAllTextAsync(folder["out/samples.json"])).RootElement;
        Assert.Equal(
            (8, 6, filter), (set.GetProperty("imageSize").GetInt32(), set.GetProperty("imageSizeEval").GetInt32(),
            set.GetProperty("resizeFilter").GetString()));
        using var image = File.OpenRead(folder["out/000000.png"]);
        Assert.EndsWith(
            isAntialiased ? " --image-size-eval 6 --antialias" : " --image-size-eval 6", PngText.Read(image)["settings"], StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_size_to_judge_at_needs_images()
    {
        using var folder = new TemporaryFolder();
        var model = SmallModel.Write(folder, withTokenizer: false);

        Assert.Equal(
            ExitCode.Usage, (await CommandLine.RunAsync("sample", "--model", model, "--image-size-eval", "6", "--output", folder["out"])).ExitCode);
        Assert.Equal(ExitCode.Usage, (await CommandLine.RunAsync("sample", "--model", model, "--antialias", "--output", folder["out"])).ExitCode);
    }

    [Fact]
    public async Task The_published_layout_is_a_named_folder_with_its_archive_beside_it()
    {
        using var folder = new TemporaryFolder();
        var model = SmallModel.Write(folder);

        var run = await CommandLine.RunAsync(
            "sample", "--model", model, "--count", "5", "--image-size-eval", "6", "--seed", "3", "--layout", "published", "--output", folder["out"]);

        Assert.True(run.ExitCode == ExitCode.Success, run.Error);
        const string Name = "GPT-tiny-model-size-8-size-6-VQ-4-topk-0-topp-1.0-temperature-1.0-cfg-2.0-seed-3";
        Assert.Equal(
            [Name, Name + ".json", Name + ".npz", Name + ".png"], Directory.GetFileSystemEntries(folder["out"]).Select(Path.GetFileName).Order());
        Assert.Equal(Enumerable.Range(0, 5).Select(i => $"{i:D6}.png"), Directory.GetFiles(folder[$"out/{Name}"]).Select(Path.GetFileName).Order());
        Assert.Equal([5L, 6, 6, 3], NpzFile.Read(folder[$"out/{Name}.npz"])["arr_0"].Shape);
        var sheet = NextPatch.Data.Imaging.ImageDecoder.Decode(folder[$"out/{Name}.png"]);
        Assert.Equal((2 + (4 * 10), 2 + (2 * 10)), (sheet.Width, sheet.Height)); // the images as drawn, four in a row
    }

    [Fact]
    public async Task A_file_draws_what_the_run_with_the_same_weights_draws()
    {
        using var folder = new TemporaryFolder();
        var model = SmallModel.Write(folder, withTokenizer: false);
        await CommandLine.RunAsync("convert", model, folder["file.pt"]);

        await CommandLine.RunAsync("sample", "--model", model, "--count", "3", "--output", folder["run"]);
        var fromFile = await CommandLine
            .RunAsync("sample", "--model", folder["file.pt"], "--image-size", "32", "--count", "3", "--output", folder["file"]);

        Assert.True(fromFile.ExitCode == ExitCode.Success, fromFile.Error);
        Assert.Equal(NpzFile.Read(folder["run/codes.npz"])["codes"].ToInt64(), NpzFile.Read(folder["file/codes.npz"])["codes"].ToInt64());
    }

    [Fact]
    public void Class_names_come_before_numbers_and_classes_take_turns()
    {
        var config = new CheckpointConfig { Model = GptPresets.Get("tiny") with { ClassCount = 8 }, ClassNames = ["a", "b", "7", "3"] };

        Assert.Equal([2, 1, 5, 2, 1], ClassChoice.Labels(["7", "B", "5"], 5, config));
        Assert.Equal([0, 1, 2], ClassChoice.Labels(["all"], 3, config));
    }

    private static string ModelHash(string path)
    {
        using var stream = File.OpenRead(path);
        return PngText.Read(stream)["modelHash"];
    }

    /// <summary>Three images of the model, resized from 8x8 to 6x6: as published before they become bytes, antialiased after.</summary>
    private static byte[] JudgedAtSix(string path, bool isAntialiased)
    {
        using var scope = TorchSharp.torch.NewDisposeScope();
        using var model = SampleModel.Load(path);
        var codes = model.Engine.Generate(new GenerationRequest { Labels = [0, 1, 2], Sampling = new() { GuidanceScale = 2 } });
        var decoded = model.Tokenizer!.DecodePlanes(codes);
        if (!isAntialiased)
        {
            var planes = BicubicInterpolation.Resize(decoded, 8, 8, 6, 6);
            return ImageTensors.ToPixels(TorchSharp.torch.tensor(planes, [3, 3, 6, 6]));
        }

        return [.. model.Tokenizer.Decode(codes).Chunk(8 * 8 * 3).SelectMany(
            p => PillowResize.Resize(new RgbImage(8, 8, p), 6, 6, ResampleFilter.Bicubic).Pixels)];
    }
}
