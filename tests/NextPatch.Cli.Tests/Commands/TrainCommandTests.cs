using System.Diagnostics;
using NextPatch.Data.Codes;
using static NextPatch.Cli.Tests.CommandProcess;

namespace NextPatch.Cli.Tests.Commands;

/// <summary>The train command as a process, because signals and kills are about processes.</summary>
public sealed class TrainCommandTests
{
    private static readonly (string Option, string Value)[] Quick =
        [("--preset", "tiny"), ("--steps", "60"), ("--batch-size", "8"), ("--checkpoint-every", "4"), ("--seed", "3"), ("--log-every", "1")];

    [Fact]
    public async Task A_killed_run_resumes_to_the_same_bytes()
    {
        using var folder = new TemporaryFolder();
        var codes = WriteCodes(folder["codes"]);
        Assert.Equal(0, await Run([.. Train(codes, folder["whole"]), "--resume"]));

        // The first time when there is a checkpoint, then in the middle of writing one.
        foreach (var isTime in (Func<bool>[])[() => File.Exists(Path.Combine(folder["killed"], "latest")),
            () => IsWritingCheckpoint(folder["killed"])])
        {
            await KillWhen(isTime, [.. Train(codes, folder["killed"], ("--checkpoint-every", "1")), "--resume"]);
        }

        Assert.NotEqual(LatestOf(folder["whole"]), LatestOf(folder["killed"]));
        Assert.Equal(0, await Run([.. Train(codes, folder["killed"]), "--resume"]));
        Assert.Equal(LatestOf(folder["whole"]), LatestOf(folder["killed"]));
        Assert.Empty(Directory.GetDirectories(folder["killed"], ".*"));
        foreach (var file in new[] { "model.safetensors", "ema.safetensors", "optimizer.safetensors" })
        {
            Assert.Equal(
                File.ReadAllBytes(Path.Combine(folder["whole"], LatestOf(folder["whole"]), file)),
                File.ReadAllBytes(Path.Combine(folder["killed"], LatestOf(folder["killed"]), file)));
        }
    }

    [Fact]
    public async Task A_second_run_is_refused_until_the_first_is_gone_however_it_went()
    {
        using var folder = new TemporaryFolder();
        var arguments = (string[])[.. Train(WriteCodes(folder["codes"]), folder["run"], ("--steps", "100000")), "--resume"];
        using var first = Start(arguments);
        first.BeginErrorReadLine();
        await WaitFor(() => File.Exists(Path.Combine(folder["run"], "latest")), first);
        var (exit, error) = await RunWithErrors(arguments);
        Assert.Equal(1, exit);
        Assert.Contains($"in use by another run (process {first.Id} on {Environment.MachineName} since", error, StringComparison.Ordinal);
        Assert.False(first.HasExited);
        first.Kill(entireProcessTree: true);
        await first.WaitForExitAsync();

        using var third = Start(arguments);
        Assert.NotEmpty(await LinesUntil("Resumed from", third));
        third.Kill(entireProcessTree: true);
        await third.WaitForExitAsync();
    }

    [Fact]
    public async Task A_run_whose_readers_are_gone_goes_on_to_its_end()
    {
        using var folder = new TemporaryFolder();
        using var process = Process.Start(Command(Train(WriteCodes(folder["codes"]), folder["run"])))!;
        process.StandardError.Close();
        process.StandardOutput.Close();
        await process.WaitForExitAsync();
        Assert.Equal(0, process.ExitCode);
        Assert.Equal(60, File.ReadAllLines(Path.Combine(folder["run"], "metrics.jsonl")).Length);
        Assert.Equal("step-00000060", LatestOf(folder["run"]));
    }

    /// <summary>The lost terminal (SIGHUP) is ignored, the request to stop is not.</summary>
    [Fact]
    public async Task A_terminated_run_writes_a_checkpoint_and_exits_with_130()
    {
        Assert.SkipUnless(OperatingSystem.IsLinux() || OperatingSystem.IsMacOS(), "signals are sent with 'kill'");
        using var folder = new TemporaryFolder();
        using var process = Start(Train(WriteCodes(folder["codes"]), folder["run"], ("--steps", "100000"), ("--checkpoint-every", "0")));
        process.BeginErrorReadLine();
        var metrics = new FileInfo(Path.Combine(folder["run"], "metrics.jsonl"));
        await WaitFor(() => LengthOf(metrics) > 200, process);
        await Signal("-HUP", process);
        var length = LengthOf(metrics);
        await WaitFor(() => LengthOf(metrics) > length + 5000, process);
        await Signal("-TERM", process);
        await process.WaitForExitAsync();
        Assert.Equal(130, process.ExitCode);
        Assert.True(File.Exists(Path.Combine(folder["run"], LatestOf(folder["run"]), "state.json")));
    }

    [Theory]
    [InlineData("--preset", "Q", "There is no preset 'Q'")]
    [InlineData("--patch-sides", "3,1", "cannot be divided into 3x3 patches")]
    [InlineData("--vocabulary", "2", "vocabulary of 8 but the model's has 2")]
    [InlineData("--classes", "1", "2 classes but the model has 1")]
    [InlineData("--lr", "-1", "learningRate -1")]
    [InlineData("--log-every", "0", "--log-every 0 must be at least 1")]
    [InlineData("--checkpoint-every", "-1", "--checkpoint-every -1 must be at least 0")]
    [InlineData("--validate-images", "-1", "--validate-images -1 must be at least 0")]
    [InlineData("--init-from", "", "is empty")]
    [InlineData("--grouping", "median", "There is no grouping 'median'. Known: centre, max, mean, scaled-mean, sum")]
    [InlineData("--target-weights", "power:x", "--target-weights 'power:x' is neither uniform nor power:A")]
    [InlineData("--step", "quick", "quick")]
    [InlineData("--stages", "2:50%,1:60%", "add up to 110 %")]
    [InlineData("--stages", "2:50,1:60", "--stages 2:50,1:60 and --steps both give the length of the run")]
    public async Task Settings_that_cannot_work_exit_with_2_and_write_nothing(string option, string value, string message)
    {
        using var folder = new TemporaryFolder();
        var (exit, error) = await RunWithErrors(Train(WriteCodes(folder["codes"]), folder["run"], (option, value)));
        Assert.Equal(2, exit);
        Assert.Contains(message, error, StringComparison.Ordinal);
        Assert.False(Directory.Exists(folder["run"]));
    }

    [Fact]
    public async Task Stages_exclude_what_else_gives_them()
    {
        using var folder = new TemporaryFolder();
        var codes = WriteCodes(folder["codes"]);
        foreach (var (option, value) in ((string, string)[])[("--patch-level", "2"), ("--patch-sides", "2,1"), ("--stage-rate", "0.5")])
        {
            var (exit, error) = await RunWithErrors(Train(codes, folder["run"], ("--stages", "2:50%,1:50%"), (option, value)));
            Assert.Equal(2, exit);
            Assert.Contains($"--stages 2:50%,1:50% and {option} both give the stages", error, StringComparison.Ordinal);
        }
    }

    /// <summary>The reference is taken and named, and the run keeps it when it is resumed.</summary>
    [Fact]
    public async Task A_grouping_that_the_fused_step_cannot_train_takes_the_reference_and_says_so()
    {
        using var folder = new TemporaryFolder();
        (string, string)[] changes = [("--steps", "6"), ("--grouping", "max"), ("--target-weights", "power:0.5")];
        string[] arguments = [.. Train(WriteCodes(folder["codes"]), folder["run"], changes), "--resume"];
        var (exit, error) = await RunWithErrors(arguments);
        Assert.Equal(0, exit);
        Assert.Contains("Step: reference, because the grouping 'max' is not a sum", error, StringComparison.Ordinal);
        var stored = File.ReadAllText(Path.Combine(folder["run"], LatestOf(folder["run"]), "config.json"));
        Assert.Contains("\"targetPower\": 0.5", stored, StringComparison.Ordinal);

        (exit, error) = await RunWithErrors(arguments);
        Assert.Equal(0, exit);
        Assert.Contains("Step: reference, as the run began.", error, StringComparison.Ordinal);
        (exit, error) = await RunWithErrors([.. arguments, "--step", "fused"]);
        Assert.Equal(2, exit);
        Assert.Contains("cannot train the grouping 'max'", error, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Missing_codes_exit_with_1_and_are_named()
    {
        using var folder = new TemporaryFolder();
        var (exit, error) = await RunWithErrors(Train(folder["nothing"], folder["run"]));
        Assert.Equal(1, exit);
        Assert.Contains(folder["nothing"], error, StringComparison.Ordinal);
    }

    private static string[] Train(string codes, string run, params (string Option, string Value)[] changes)
    {
        var options = Quick.Where(q => changes.All(c => c.Option != q.Option)).Concat(changes);
        return ["train", "--codes", codes, "--output", run, .. options.SelectMany(o => (string[])[o.Option, o.Value])];
    }

    private static string WriteCodes(string folder)
    {
        const int count = 40, side = 4;
        CodeStore.Write(folder, new CodeManifest
        {
            Name = "tiny", GridSide = side, VocabularySize = 8, ClassNames = ["a", "b"], Count = count, HeldOutCount = 8,
        }, Enumerable.Range(0, count * side * side).Select(i => i * 7 % 8).ToArray(), Enumerable.Range(0, count).Select(i => i % 2).ToArray());
        return folder;
    }

    private static async Task Signal(string signal, Process process)
    {
        using var kill = Process.Start("kill", [signal, process.Id.ToString()]);
        await kill.WaitForExitAsync();
    }

    private static long LengthOf(FileInfo file)
    {
        file.Refresh();
        return file.Exists ? file.Length : 0;
    }

    /// <summary>What a process says up to a word; empty when it ends without it.</summary>
    private static async Task<IReadOnlyList<string>> LinesUntil(string word, Process process)
    {
        var lines = new List<string>();
        while (await process.StandardError.ReadLineAsync() is { } line)
        {
            lines.Add(line);
            if (line.Contains(word, StringComparison.Ordinal))
            {
                return lines;
            }
        }

        return [];
    }
}
