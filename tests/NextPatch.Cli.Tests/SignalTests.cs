using System.Diagnostics;
using System.Text.RegularExpressions;
using NextPatch.Cli.CommandLine;
using NextPatch.Core.Checkpoints.Numpy;
using NextPatch.Core.Tensors;
using NextPatch.Data.Codes;
using static NextPatch.Cli.Tests.CommandProcess;

namespace NextPatch.Cli.Tests;

/// <summary>What a first SIGTERM and Ctrl+C do to commands that take long: exit code 130, and what was done stays.</summary>
public sealed class SignalTests : IDisposable
{
    private const string Endless = "1000000";
    private readonly TemporaryFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    [Theory]
    [InlineData("TERM")]
    [InlineData("INT")]
    public async Task A_stopped_run_has_a_whole_checkpoint_of_its_last_step(string signal)
    {
        WriteCodes();
        string[] train =
            ["train", "--codes", _folder["codes"], "--output", _folder["run"], "--preset", "tiny", "--steps", Endless, "--batch-size", "4",
                "--log-every", "1"];

        Assert.Equal(ExitCode.Cancelled, await Stop(signal, "Training 1/", [.. train, "--checkpoint-every", "0"]));

        await IsWhole("run");
        Assert.True(File.Exists(_folder["run/report.html"]));
    }

    [Theory]
    [InlineData("TERM")]
    [InlineData("INT")]
    public async Task A_stopped_tokenizer_has_a_whole_checkpoint_of_its_last_step(string signal)
    {
        WriteImages(50);
        string[] train =
        [
            "tokenizer", "train", "--images", _folder["images.npz"], "--output", _folder["tok"], "--image-size", "8", "--channels", "16", "--blocks",
            "0",
            "--codebook-size", "16", "--batch-size", "2", "--continuous-steps", "1", "--log-every", "1", "--checkpoint-every", "0", "--steps",
            Endless,
        ];

        Assert.Equal(ExitCode.Cancelled, await Stop(signal, "Training 1/", train));

        await IsWhole("tok");
        Assert.True(File.Exists(_folder["tok/model.safetensors"]));
    }

    [Theory]
    [InlineData("TERM")]
    [InlineData("INT")]
    public async Task Stopped_extraction_goes_on_where_it_was(string signal)
    {
        SmallModel.Write(_folder);
        WriteImages(60_000);
        string[] encode = ["encode", "--images", _folder["images.npz"], "--tokenizer", _folder["tokenizer"], "--output", _folder["codes"]];

        Assert.Equal(ExitCode.Cancelled, await Stop(signal, "Encoding", encode));

        Assert.True(File.Exists(_folder["codes/encoding.json"]));
        Assert.False(File.Exists(_folder["codes/codes.npy"]));
        var again = await RunWithErrors(encode);
        Assert.True(again.Exit == ExitCode.Success, again.Error);
        using var store = CodeStore.Open(_folder["codes"]);
        Assert.Equal(60_000, store.Manifest.Count);
        Assert.Empty(Directory.GetFiles(_folder["codes"], "*.partial"));
    }

    [Theory]
    [InlineData("TERM")]
    [InlineData("INT")]
    public async Task A_stopped_set_of_samples_is_continued(string signal)
    {
        SmallModel.Write(_folder);
        string[] sample = ["sample", "--model", _folder["model"], "--output", _folder["samples"], "--count"];

        Assert.Equal(ExitCode.Cancelled, await Stop(signal, "Sampling [1-9]", [.. sample, Endless]));

        var drawn = Directory.GetFiles(_folder["samples"], "*.png").ToDictionary(f => f, File.ReadAllBytes);
        Assert.NotEmpty(drawn);
        Assert.Empty(Directory.GetFiles(_folder["samples"], "*.partial"));
        Assert.Equal(ExitCode.Success, await Run([.. sample, $"{drawn.Count}", "--resume"]));
        Assert.All(drawn, f => Assert.Equal(f.Value, File.ReadAllBytes(f.Key)));
    }

    [Theory]
    [InlineData("TERM", "evaluate", "--samples")]
    [InlineData("INT", "evaluate", "--samples")]
    [InlineData("TERM", "sweep", "--model")]
    public async Task A_stopped_measurement_leaves_no_half_of_one(string signal, string command, string model)
    {
        SmallModel.Write(_folder);
        WriteImages(90);
        string[] output = command == "sweep" ? ["--output", _folder["sweep"]] : [];

        Assert.Equal(ExitCode.Cancelled, await Stop(
            signal, " 0/", [command, model, _folder["model"], "--count", Endless, "--reference", _folder["images.npz"], "--weights",
                SmallResNet.Write(_folder["net.safetensors"]), .. output]));

        Assert.Empty(Directory.Exists(_folder["sweep"]) ? Directory.GetFiles(_folder["sweep"]) : []);
    }

    /// <summary>Sends a signal once stderr says that the work has begun.</summary>
    private static async Task<int> Stop(string signal, string begun, IEnumerable<string> arguments)
    {
        Assert.SkipWhen(OperatingSystem.IsWindows(), "signals of Unix");
        Assert.SkipWhen(signal == "INT" && IgnoresInterrupts, "Ctrl+C is ignored here, as by all that a shell starts in the background");
        using var process = Start(arguments);
        var said = "";
        while (!Regex.IsMatch(said, begun))
        {
            said += (await process.StandardError.ReadLineAsync() ?? throw new InvalidOperationException($"It ended before it began: {said}")) + "\n";
        }

        var rest = process.StandardError.ReadToEndAsync();
        using (var kill = Process.Start("kill", [$"-{signal}", $"{process.Id}"]))
        {
            await kill.WaitForExitAsync();
        }

        Assert.Contains("Stopping", await rest, StringComparison.Ordinal);
        await process.WaitForExitAsync();
        return process.ExitCode;
    }

    /// <summary>What a process ignores its children ignore too.</summary>
    private static bool IgnoresInterrupts
    {
        get
        {
            const int Interrupt = 2; // SIGINT
            const string Status = "/proc/self/status";
            var line = File.Exists(Status) ? File.ReadLines(Status).First(l => l.StartsWith("SigIgn:", StringComparison.Ordinal)) : "0";
            return (Convert.ToUInt64(line.Split()[^1], 16) >> (Interrupt - 1) & 1) == 1;
        }
    }

    private async Task IsWhole(string run)
    {
        var info = await CommandLine.RunAsync("info", _folder[run], "--verify");
        Assert.True(info.ExitCode == ExitCode.Success, info.Output + info.Error);
        Assert.Contains("whole, every file", info.Output, StringComparison.Ordinal);
        Assert.Empty(Directory.GetFileSystemEntries(_folder[run], ".writing*"));
    }

    private void WriteCodes() => CodeStore.Write(_folder["codes"], new CodeManifest
    {
        Name = "tiny", GridSide = 2, VocabularySize = 32, ClassNames = ["a", "b"], Count = 40, HeldOutCount = 8,
    }, [.. Enumerable.Range(0, 160).Select(i => i * 7 % 32)], [.. Enumerable.Range(0, 40).Select(i => i % 2)]);

    private void WriteImages(int count)
    {
        var pixels = new byte[count * 8 * 8 * 3];
        new Random(1).NextBytes(pixels);
        NpzFile.Write(_folder["images.npz"], new Dictionary<string, StoredTensor>
        {
            ["arr_0"] = StoredTensor.From(HostTensor.From<byte>(ElementType.UInt8, [count, 8, 8, 3], pixels)),
        });
    }
}
