using NextPatch.Core.Configuration;
using NextPatch.Torch.Tokenizer;

namespace NextPatch.Cli.Tests.Commands;

[NoTensorLeaks]
public sealed class BenchCommandTests
{
    private static readonly string[] Tiny = ["bench", "train", "--preset", "tiny", "--grid", "4", "--vocabulary", "32"];

    [Fact]
    public async Task Every_part_has_a_time_a_baseline_and_where_it_has_a_floor_its_share()
    {
        var result = await CommandLine.RunAsync([.. Tiny, "--json", "--rounds", "2"]);
        Assert.Equal(0, result.ExitCode);
        var figures = result.Json.EnumerateArray().ToDictionary(f => f.GetProperty("name").GetString()!);
        foreach (var name in from side in (int[])[1, 2, 4]
                             from part in (string[])["forward", "backward", "forwardBackward", "optimiser",
            "step"]
                             from kind in (string[])["median", "min"]
                             select $"p{side}.{part}.{kind}")
        {
            Assert.True(figures[name].GetProperty("value").GetDouble() > 0, name);
            Assert.True(figures[name].GetProperty("baseline").GetDouble() > 0, name);
            Assert.True(figures[name].GetProperty("ratio").GetDouble() > 0, name);
            Assert.Equal("s/image", figures[name].GetProperty("unit").GetString());
        }

        Assert.True(figures["p1.step.min"].GetProperty("floorShare").GetDouble() > 0);
        Assert.False(figures["p1.forward.min"].TryGetProperty("floorShare", out _));
        Assert.True(figures["p2.peakMemory"].TryGetProperty("value", out _));
        Assert.InRange(figures["p2.ofP1.min"].GetProperty("baseline").GetDouble(), 0.2, 0.25);
    }

    [Fact]
    public async Task Without_the_baseline_nothing_is_compared()
    {
        var figures = (await CommandLine.RunAsync([.. Tiny, "--json", "--rounds", "1", "--no-baseline", "--patch-sides", "2", "--images", "3"])).Json
            .EnumerateArray().ToList();
        // those stand beside libtorch's
        Assert.DoesNotContain(
            figures, f => f.TryGetProperty("baseline", out _) && !f.GetProperty("name").GetString()!.Contains(
            ".products.", StringComparison.Ordinal));
        Assert.Contains(figures, f => f.GetProperty("name").GetString() == "p2.step.median");
    }

    [Fact]
    public async Task Captions_as_one_key_stand_beside_a_key_for_each_row_and_all_published_rows()
    {
        var result = await CommandLine.RunAsync([.. Tiny, "--json", "--rounds", "1", "--patch-sides", "1,2", "--caption-tokens", "5"]);
        Assert.True(result.ExitCode == 0, result.Error);
        var figures = result.Json.EnumerateArray().ToDictionary(f => f.GetProperty("name").GetString()!);
        Assert.Equal(
            from side in (int[])[1, 2]
            from what in (string[])["step", "oneKey"]
            from kind in (string[])["median", "min"]
            select $"caption.p{side}.{what}.{kind}", figures.Keys);
        Assert.All(figures.Values, f => Assert.True(f.GetProperty("value").GetDouble() > 0 && f.GetProperty("baseline").GetDouble() > 0));
    }

    [Fact]
    public async Task Precisions_of_other_machines_are_refused()
    {
        var result = await CommandLine.RunAsync([.. Tiny, "--precision", "fp16"]);
        Assert.Equal(2, result.ExitCode);
        Assert.Contains("'bf16'", result.Error, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Auto_says_what_it_chose_and_why()
        => Assert.Matches(
            "Precision: (fp32|bf16), because .*\\(auto\\)",
            (await CommandLine.RunAsync([.. Tiny, "--rounds", "1", "--no-baseline", "--recompute"])).Error);

    [Fact]
    public async Task The_table_shows_microseconds()
        => Assert.Matches(
            @"p1\.optimiser\.min\s+│\s+[0-9.]*[1-9]",
            (await CommandLine.RunAsync([.. Tiny, "--rounds", "1", "--no-baseline"])).Output);

    [Theory]
    [InlineData("--patch-sides", "1,x")]
    [InlineData("--patch-sides", "3")]
    [InlineData("--images", "4,4")]
    [InlineData("--rounds", "0")]
    public async Task Settings_that_cannot_work_are_named(string option, string value)
    {
        var result = await CommandLine.RunAsync([.. Tiny, option, value]);
        Assert.Equal(2, result.ExitCode);
        Assert.Contains(value[..1], result.Error, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Drawing_has_a_time_per_code_of_its_tokenizer_and_of_whole_images()
    {
        var result = await CommandLine.RunAsync(
            "bench", "decode", "--preset", "tiny", "--images", "1,2", "--codes", "1", "--rounds", "1", "--no-baseline", "--json");
        Assert.True(result.ExitCode == 0, result.Error);
        var figures = result.Json.EnumerateArray().ToDictionary(f => f.GetProperty("name").GetString()!);
        string[] expected =
        [
            .. from kind in (string[])["fp32", "bf16", "int8"] from images in (int[])[1, 2] select $"decode.{kind}.{images}.code",
            "tokenizer.decode", "tokenizer.encode", "image.warm", "image.cold",
        ];
        Assert.Equal(expected, figures.Keys);
        Assert.All(figures.Values, f => Assert.True(f.GetProperty("value").GetDouble() > 0));
        Assert.All(figures.Values, f => Assert.Equal("s", f.GetProperty("unit").GetString()));
        Assert.True(figures["decode.int8.1.code"].GetProperty("floorShare").GetDouble() > 0);
        Assert.True(figures["tokenizer.encode"].GetProperty("floorShare").GetDouble() > 0);
        Assert.Equal(2, (await CommandLine.RunAsync("bench", "decode", "--images", "0")).ExitCode);
    }

    [Fact]
    public async Task Prompts_as_one_position_stand_beside_every_row()
    {
        var result = await CommandLine.RunAsync(
            "bench", "decode", "--preset", "tiny", "--images", "1", "--codes", "1", "--rounds", "1", "--prompt-tokens", "5", "--precision", "int8",
            "--json");
        Assert.True(result.ExitCode == 0, result.Error);
        var figures = result.Json.EnumerateArray().ToDictionary(f => f.GetProperty("name").GetString()!);
        Assert.Equal(["prompt.int8.1.code", "prompt.int8.1.prefill"], figures.Keys);
        Assert.All(figures.Values, f => Assert.True(f.GetProperty("value").GetDouble() > 0 && f.GetProperty("baseline").GetDouble() > 0));
        Assert.True(figures["prompt.int8.1.code"].GetProperty("floorShare").GetDouble() > 0);
    }

    [Fact]
    public async Task Metrics_and_a_feature_network_have_a_time_and_a_share_of_their_products()
    {
        using var folder = new TemporaryFolder();
        var result = await CommandLine.RunBenchAsync(
            "evaluate", "--images", "60", "--samples", "20", "--features", "8", "--weights", SmallResNet.Write(folder["net.safetensors"]),
                "--image-side", "8", "--json");
        Assert.True(result.ExitCode == 0, result.Error);
        var figures = result.Json.EnumerateArray().ToDictionary(f => f.GetProperty("name").GetString()!);
        foreach (var name in (string[])["fid.statistics", "inceptionScore", "kid", "precisionRecall"])
        {
            Assert.True(figures[name].GetProperty("value").GetDouble() > 0, name);
            Assert.True(figures[name].GetProperty("floorShare").GetDouble() > 0, name);
        }

        Assert.Equal("bytes", figures["peakMemory"].GetProperty("unit").GetString());
        Assert.InRange(figures["precision.value"].GetProperty("value").GetDouble(), 0.1, 1);
        var speed = figures["features." + SmallResNet.Name];
        Assert.Equal("images/s", speed.GetProperty("unit").GetString());
        Assert.Equal(speed.GetProperty("value").GetDouble() / speed.GetProperty("baseline").GetDouble(), speed.GetProperty("ratio").GetDouble(), 6);
        Assert.InRange(speed.GetProperty("floorShare").GetDouble(), 0.001, 1.5);
        Assert.True(figures[$"features.{SmallResNet.Name}.convolutions"].GetProperty("value").GetDouble() > 0);
        Assert.Equal(2, (await CommandLine.RunBenchAsync(["evaluate", "--images", "60", "--samples", "70"])).ExitCode);
    }

    [Fact]
    public async Task Extraction_is_compared_with_the_published_way_and_the_bare_convolutions()
    {
        using var folder = new TemporaryFolder();
        using (var tokenizer = new VqTokenizer(
            new TokenizerConfig
            {
                Architecture = TokenizerArchitecture.Vqgan, ImageSide = 16, DownsamplingFactor = 2, CodebookSize = 32, Channels = [32, 64],
                BlockCounts = [1, 1], LatentChannels = 32,
            }, seed: 1))
        {
            tokenizer.SaveTo(folder.Path);
        }

        var result = await CommandLine.RunBenchAsync(
            "encode", "--tokenizer", folder.Path, "--image-size", "32", "--images", "1", "--rounds", "1", "--json");
        Assert.True(result.ExitCode == 0, result.Error);
        var figures = result.Json.EnumerateArray().ToDictionary(f => f.GetProperty("name").GetString()!);
        Assert.True(figures["preprocess.images"].GetProperty("value").GetDouble() > 0);
        Assert.True(figures["extract.min"].GetProperty("baseline").GetDouble() > 0);
        Assert.InRange(figures["extract.sameCodes"].GetProperty("value").GetDouble(), 0.99, 1);
        Assert.True(figures["encoder.min"].GetProperty("floorShare").GetDouble() > 0);
        Assert.Equal(1, new[] { "decode", "preprocess", "encode" }.Sum(s => figures[$"extract.share.{s}"].GetProperty("value").GetDouble()), 1e-6);
    }
}
