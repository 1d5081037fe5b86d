using System.Security.Cryptography;
using NextPatch.Cli.CommandLine;

namespace NextPatch.Cli.Tests.Commands;

/// <summary>What <c>sample</c> does not draw, and says why.</summary>
[NoTensorLeaks]
public sealed class SampleRefusalTests
{
    [Theory]
    [InlineData("--class", "goldn retriever", "207 (golden retriever)")]
    [InlineData("--image-size", "384", "leave --image-size out")]
    [InlineData("--image-size", "100", "multiple of 16")]
    public async Task What_a_published_file_cannot_draw_is_said(string option, string value, string reason)
    {
        using var folder = new TemporaryFolder();
        var model = PublishedModel.Write(folder["c2i.pt"], classCount: 1000);

        var run = await CommandLine.RunAsync("sample", "--model", model, option, value, "--output", folder["out"]);

        Assert.Equal(ExitCode.Usage, run.ExitCode);
        Assert.Contains(reason, run.Error, StringComparison.Ordinal);
    }

    /// <summary>The tokenizer loads after the weights, which may take minutes.</summary>
    [Theory]
    [InlineData("--class", "heart")]
    [InlineData("--temperature", "-1")]
    public async Task Mistakes_are_said_before_anything_is_loaded(string option, string value)
    {
        using var folder = new TemporaryFolder();
        var model = SmallModel.Write(folder);

        var run = await CommandLine.RunAsync("sample", "--model", model, "--tokenizer", "nowhere", option, value, "--output", folder["out"]);

        Assert.Equal(ExitCode.Usage, run.ExitCode);
        Assert.Contains(value, run.Error, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("model.safetensors", "")]
    [InlineData("model.safetensors", "model.safetensors")]
    [InlineData("config.json", "config.json")]
    public async Task A_checkpoint_that_is_not_what_its_sums_say_is_not_sampled(string summed, string damaged)
    {
        using var folder = new TemporaryFolder();
        var checkpoint = Path.Combine(SmallModel.Write(folder, withTokenizer: false), "step-00000005");
        var file = Path.Combine(checkpoint, summed);
        File.WriteAllText(
            Path.Combine(checkpoint, "SHA256SUMS"), $"{Convert.ToHexStringLower(SHA256.HashData(await File.ReadAllBytesAsync(file)))}  {summed}\n");
        if (damaged == "config.json")
        {
            await File.AppendAllTextAsync(file, " ");
        }
        else if (damaged.Length > 0)
        {
            var bytes = await File.ReadAllBytesAsync(file);
            bytes[^1] ^= 1;
            await File.WriteAllBytesAsync(file, bytes);
        }

        var run = await CommandLine.RunAsync("sample", "--model", checkpoint, "--weights", "model", "--count", "1", "--output", folder["out"]);

        Assert.Equal(damaged.Length > 0 ? ExitCode.Failure : ExitCode.Success, run.ExitCode);
        Assert.Equal(damaged.Length > 0, run.Error.Contains($"{summed}' does not have the SHA-256", StringComparison.Ordinal));
    }

    [Fact]
    public async Task The_tokenizer_of_another_run_is_refused()
    {
        using var folder = new TemporaryFolder();
        var model = SmallModel.Write(folder, tokenizerHash: new string('0', 64));

        var run = await CommandLine.RunAsync("sample", "--model", model, "--output", folder["out"]);

        Assert.Equal(ExitCode.Failure, run.ExitCode);
        Assert.Contains("hash", run.Error, StringComparison.Ordinal);
        Assert.False(Directory.Exists(folder["out"]));
    }

    [Theory]
    [InlineData(ExitCode.Usage, "circle, star, 7", "--class", "heart")]
    [InlineData(ExitCode.Usage, "--count", "--count", "0")]
    [InlineData(ExitCode.Usage, "temperature", "--temperature", "-1")]
    [InlineData(ExitCode.Usage, "cfg-shape", "--cfg-shape", "round")]
    [InlineData(ExitCode.Failure, "'nowhere", "--tokenizer", "nowhere")]
    public async Task What_cannot_be_drawn_is_said_with_the_right_exit_code(int exitCode, string reason, params string[] args)
    {
        using var folder = new TemporaryFolder();
        var model = SmallModel.Write(folder);

        var run = await CommandLine.RunAsync(["sample", "--model", model, "--output", folder["out"], .. args]);

        Assert.Equal(exitCode, run.ExitCode);
        Assert.Contains(reason.TrimStart('\''), run.Error, StringComparison.Ordinal);
        Assert.DoesNotContain("defect", run.Error, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_folder_that_is_no_model_is_named()
    {
        using var folder = new TemporaryFolder();

        var run = await CommandLine.RunAsync("sample", "--model", folder.Path);

        Assert.Equal(ExitCode.Failure, run.ExitCode);
        Assert.Contains(folder.Path, run.Error, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_file_in_the_way_of_the_output_folder_is_a_plain_error()
    {
        using var folder = new TemporaryFolder();
        var model = SmallModel.Write(folder);
        await File.WriteAllTextAsync(folder["taken"], "");

        var run = await CommandLine.RunAsync("sample", "--model", model, "--output", folder["taken"]);

        Assert.Equal(ExitCode.Failure, run.ExitCode);
        Assert.DoesNotContain("defect", run.Error, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Samples_are_balanced_exactly_or_not_at_all()
    {
        using var folder = new TemporaryFolder();
        var model = SmallModel.Write(folder);

        var run = await CommandLine.RunAsync("sample", "--model", model, "--count", "10", "--balanced", "--output", folder["out"]);

        Assert.Equal(ExitCode.Usage, run.ExitCode);
        Assert.Contains("such as 12", run.Error, StringComparison.Ordinal);
        var both = await CommandLine.RunAsync(
            "sample", "--model", model, "--count", "12", "--balanced", "--random-classes", "--output", folder["out"]);
        Assert.Equal(ExitCode.Usage, both.ExitCode);
    }
}
