using System.Diagnostics;
using NextPatch.Core;
using NextPatch.Core.Checkpoints;
using NextPatch.Training.Gpt;

namespace NextPatch.Training.Tests.Gpt;

[NoTensorLeaks]
public sealed class DamagedCheckpointTests
{
    private const string Newest = "step-00000012";

    public enum Damage { FlippedBit, CutShort, Emptied, Deleted }

    [Theory]
    [InlineData("model.safetensors", Damage.FlippedBit)]
    [InlineData("ema.safetensors", Damage.FlippedBit)]
    [InlineData("optimizer.safetensors", Damage.CutShort)]
    [InlineData("model.safetensors", Damage.Deleted)]
    [InlineData("ema.safetensors", Damage.Deleted)]
    [InlineData("state.json", Damage.Emptied)]
    [InlineData("config.json", Damage.FlippedBit)]
    [InlineData("SHA256SUMS", Damage.Emptied)]
    [InlineData("SHA256SUMS", Damage.CutShort)]
    public void Resuming_falls_back_to_the_checkpoint_before_and_says_so(string file, Damage damage)
    {
        using var folder = new TemporaryFolder();
        var codes = TinyRun.WriteCodes(folder["codes"]);
        var whole = TinyRun.Train(codes, new GptRunOptions { Output = folder["run"], CheckpointEvery = 4 });
        var expected = Contents(whole.Checkpoint!);
        Do(damage, Path.Combine(whole.Checkpoint!, file));
        var damaged = Contents(whole.Checkpoint!);

        var notes = new List<string>();
        var resumed = TinyRun.Train(
            codes, new GptRunOptions { Output = folder["run"], CheckpointEvery = 5, KeepLast = 2, Resume = true, OnNote = notes.Add });
        Assert.Contains(notes, n => n.StartsWith($"The checkpoint {Newest} is damaged: {file}", StringComparison.Ordinal));
        Assert.Contains("The run falls back to step-00000008.", notes);
        Assert.Equal(Newest, Path.GetFileName(resumed.Checkpoint));
        Assert.Equal(expected["optimizer.safetensors"], Contents(resumed.Checkpoint!)["optimizer.safetensors"]);
        Assert.Equal(expected["ema.safetensors"], Contents(resumed.Checkpoint!)["ema.safetensors"]);
        Assert.Equal(damaged, Contents(Path.Combine(folder["run"], "damaged-" + Newest))); // kept as it was, for whoever wants to look
        Assert.Equal(["step-00000010", Newest], new CheckpointFolder(folder["run"]).All()); // and not counted among those that stay
    }

    /// <summary>From before there were sums: what shows without them still does.</summary>
    [Theory]
    [InlineData("optimizer.safetensors", Damage.CutShort)]
    [InlineData("state.json", Damage.CutShort)]
    public void Without_sums_the_structure_is_checked(string file, Damage damage)
    {
        using var folder = new TemporaryFolder();
        var codes = TinyRun.WriteCodes(folder["codes"]);
        var whole = TinyRun.Train(codes, new GptRunOptions { Output = folder["run"], CheckpointEvery = 4 });
        foreach (var sums in Directory.GetFiles(folder["run"], "SHA256SUMS", SearchOption.AllDirectories))
        {
            File.Delete(sums);
        }

        Do(damage, Path.Combine(whole.Checkpoint!, file));
        var notes = new List<string>();
        Assert.True(TinyRun.Train(codes, new GptRunOptions { Output = folder["run"], Resume = true, OnNote = notes.Add }).IsComplete);
        Assert.Contains("The run falls back to step-00000008.", notes);
    }

    [Theory]
    [InlineData("")]
    [InlineData("step-00000099\n")]
    [InlineData(null)]
    public void A_pointer_that_points_nowhere_is_mended(string? pointer)
    {
        using var folder = new TemporaryFolder();
        var codes = TinyRun.WriteCodes(folder["codes"]);
        TinyRun.Train(codes, new GptRunOptions { Output = folder["run"] });
        var latest = Path.Combine(folder["run"], "latest");
        File.Delete(latest);
        if (pointer is not null)
        {
            File.WriteAllText(latest, pointer);
        }

        Assert.Contains(
            "Resume", Assert.Throws<ConfigException>(() => TinyRun.Train(codes, new GptRunOptions { Output = folder["run"] })).Message,
            StringComparison.Ordinal);
        Assert.Equal(12, TinyRun.Train(codes, new GptRunOptions { Output = folder["run"], Resume = true }).Step);
        Assert.Equal(Newest, File.ReadAllText(latest).Trim());
    }

    /// <summary>A person may point 'latest' at an older checkpoint; what the run writes then must not fall to the count of those that stay.</summary>
    [Fact]
    public void A_run_set_back_by_hand_keeps_its_own_checkpoints()
    {
        using var folder = new TemporaryFolder();
        var codes = TinyRun.WriteCodes(folder["codes"]);
        TinyRun.Train(codes, new GptRunOptions { Output = folder["run"], CheckpointEvery = 4 });
        File.WriteAllText(Path.Combine(folder["run"], "latest"), "step-00000004");
        using var stop = new CancellationTokenSource();
        TinyRun.Train(
            codes, new GptRunOptions
            {
                Output = folder["run"], KeepLast = 1, Resume = true, SampleEvery = 6, OnSample = (_, _) => stop.Cancel(),
            }, cancellation: stop.Token);
        Assert.Equal("step-00000006", File.ReadAllText(Path.Combine(folder["run"], "latest")).Trim());
        Assert.Equal(["step-00000006", "step-00000008", Newest], new CheckpointFolder(folder["run"]).All());
    }

    [Fact]
    public void When_none_is_whole_all_are_named_and_left_alone()
    {
        using var folder = new TemporaryFolder();
        var codes = TinyRun.WriteCodes(folder["codes"]);
        TinyRun.Train(codes, new GptRunOptions { Output = folder["run"], CheckpointEvery = 6 });
        foreach (var file in Directory.GetFiles(folder["run"], "model.safetensors", SearchOption.AllDirectories))
        {
            Do(Damage.FlippedBit, file);
        }

        var error = Assert.Throws<DataFormatException>(() => TinyRun.Train(codes, new GptRunOptions { Output = folder["run"], Resume = true }));
        Assert.Contains("step-00000006: model.safetensors", error.Message, StringComparison.Ordinal);
        Assert.Contains("step-00000012: model.safetensors", error.Message, StringComparison.Ordinal);
        Assert.Equal(["step-00000006", Newest], new CheckpointFolder(folder["run"]).All());
    }

    /// <summary>Every state that a kill between two renames can leave.</summary>
    [Fact]
    public void What_a_kill_left_half_done_is_finished_or_removed()
    {
        using var folder = new TemporaryFolder();
        var codes = TinyRun.WriteCodes(folder["codes"]);
        TinyRun.Train(codes, new GptRunOptions { Output = folder["run"], CheckpointEvery = 4 });
        string At(string name) => Path.Combine(folder["run"], name);
        Directory.Move(At(Newest), At(".replaced-" + Newest)); // killed while a checkpoint of the same step took its place
        Directory.CreateDirectory(At(".writing-" + Newest));
        File.WriteAllText(Path.Combine(At(".writing-" + Newest), "model.safetensors"), "half");
        Directory.Move(At("step-00000004"), At(".removing-step-00000004"));
        File.WriteAllText(At("latest.writing"), "st");

        var notes = new List<string>();
        var result = TinyRun.Train(codes, new GptRunOptions { Output = folder["run"], Resume = true, OnNote = notes.Add });
        Assert.Equal((12, At(Newest)), (result.Step, result.Checkpoint));
        Assert.Contains(notes, n => n.StartsWith("Removed .writing-" + Newest, StringComparison.Ordinal));
        Assert.DoesNotContain(notes, n => n.Contains("damaged", StringComparison.Ordinal));
        Assert.Equal(["latest", "metrics.jsonl", "step-00000008", Newest, "tensorboard"],
            Directory.GetFileSystemEntries(folder["run"]).Select(p => Path.GetFileName(p)!).Where(n => n is not (".lock" or ".lock-owner")).Order());
    }

    [Fact]
    public void The_sums_are_those_of_sha256sum()
    {
        Assert.SkipUnless(File.Exists("/usr/bin/sha256sum"), "no sha256sum here");
        using var folder = new TemporaryFolder();
        var checkpoint = TinyRun.Train(TinyRun.WriteCodes(folder["codes"]), new GptRunOptions { Output = folder["run"] }).Checkpoint!;
        using var check = Process.Start(
            new ProcessStartInfo("/usr/bin/sha256sum", ["--check", "--strict", "SHA256SUMS"])
            {
                WorkingDirectory = checkpoint, RedirectStandardOutput = true,
            })!;
        Assert.Equal(5, check.StandardOutput.ReadToEnd().Split(": OK").Length - 1);
        check.WaitForExit();
        Assert.Equal(0, check.ExitCode);
    }

    private static void Do(Damage damage, string path)
    {
        var bytes = File.ReadAllBytes(path);
        switch (damage)
        {
            case Damage.FlippedBit:
                bytes[bytes.Length / 2] ^= 1;
                File.WriteAllBytes(path, bytes);
                break;
            case Damage.CutShort:
                File.WriteAllBytes(path, bytes[..(bytes.Length / 2)]);
                break;
            case Damage.Emptied:
                File.WriteAllBytes(path, []);
                break;
            case Damage.Deleted:
                File.Delete(path);
                break;
        }
    }

    private static SortedDictionary<string, byte[]> Contents(string folder)
        => new(Directory.GetFiles(folder).ToDictionary(f => Path.GetFileName(f), File.ReadAllBytes), StringComparer.Ordinal);
}
