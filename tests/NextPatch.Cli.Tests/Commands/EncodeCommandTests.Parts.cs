using NextPatch.Cli.CommandLine;
using NextPatch.Data.Codes;

namespace NextPatch.Cli.Tests.Commands;

// Codes that several processes extract.
public sealed partial class EncodeCommandTests
{
    [Theory]
    [InlineData("store")]
    [InlineData("published")]
    public async Task Parts_become_the_codes_of_one_process(string layout)
    {
        using var folder = Pictures();
        string[] options = ["--layout", layout, "--crops", "flip", "--batch-size", "4"]; // batches of two images
        Assert.Equal(ExitCode.Success, (await EncodeAsync(folder, "whole", options)).ExitCode);
        foreach (var shard in new[] { "2/3", "3/3" })
        {
            var run = await EncodeAsync(folder, "parts", [.. options, "--shard", shard]);
            Assert.True(run.ExitCode == ExitCode.Success, run.Error);
        }

        var early = await EncodeAsync(folder, "parts", options);
        Assert.Equal(ExitCode.Usage, early.ExitCode);
        Assert.Contains("Part 1/3 of the codes is not complete. Do it with --shard 1/3", early.Error, StringComparison.Ordinal);

        Assert.Equal(ExitCode.Success, (await EncodeAsync(folder, "parts", [.. options, "--shard", "1/3"])).ExitCode);
        using (var part = CodeStore.Open(folder["parts/shard-3-of-3"]))
        {
            Assert.Equal((14 + Val, Val), (part.Count, part.Manifest.HeldOutCount)); // of 40 images 26 are those of the other two
        }

        var merged = await EncodeAsync(folder, "parts", options);
        Assert.True(merged.ExitCode == ExitCode.Success, merged.Error);
        foreach (var shard in Directory.GetDirectories(folder["parts"], "shard-*"))
        {
            Directory.Delete(shard, recursive: true);
        }

        AssertSame(folder["whole"], folder["parts"]);
        var many = await EncodeAsync(folder, "many", [.. options, "--shard", "1/21"]);
        Assert.Equal(ExitCode.Usage, many.ExitCode);
        Assert.Contains("40 images are 20 whole batches of 2", many.Error, StringComparison.Ordinal);
    }

    /// <summary>The first part has no picture left, the last one held-out ones alone.</summary>
    [Fact]
    public async Task Parts_without_pictures_to_train_on_are_complete_too()
    {
        using var folder = Pictures();
        foreach (var i in Enumerable.Range(0, 12).Concat(Enumerable.Range(26, 14)))
        {
            File.WriteAllText(folder[$"set/train/{(i < 20 ? "a" : "b")}/{i % 20:00}.png"], "no picture");
        }

        string[] options = ["--on-error", "skip", "--crops", "flip", "--batch-size", "4"];
        Assert.Equal(ExitCode.Success, (await EncodeAsync(folder, "whole", options)).ExitCode);
        foreach (var shard in new[] { "1/3", "2/3", "3/3" })
        {
            var run = await EncodeAsync(folder, "parts", [.. options, "--shard", shard]);
            Assert.True(run.ExitCode == ExitCode.Success, run.Error);
        }

        var merged = await EncodeAsync(folder, "parts", options);
        Assert.True(merged.ExitCode == ExitCode.Success, merged.Error);
        foreach (var shard in Directory.GetDirectories(folder["parts"], "shard-*"))
        {
            Directory.Delete(shard, recursive: true);
        }

        AssertSame(folder["whole"], folder["parts"]);
    }
}
