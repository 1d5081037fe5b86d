using NextPatch.Cli.CommandLine;
using NextPatch.Torch.Devices;

namespace NextPatch.Cli.Tests.Commands;

/// <summary><c>--device</c> of every command that has it, on a machine that need not have a GPU: number 99 is on none.</summary>
[NoTensorLeaks]
public sealed class DeviceOptionTests
{
    private const string NoDevice = "cuda:99";

    [Fact]
    public async Task A_device_that_is_not_there_is_refused_with_what_is_there()
    {
        using var folder = new TemporaryFolder();
        SmallCodes.Write(folder["codes"], folder["tokenizer"], gridSide: 4, count: 12);
        string[][] commands =
        [
            ["train", "--codes", folder["codes"], "--output", folder["run"], "--preset", "tiny", "--steps", "2"],
            ["sample", "--output", folder["samples"]],
            ["encode", "--images", folder["codes"], "--tokenizer", folder["tokenizer"], "--output", folder["out"]],
            ["evaluate", "--samples", folder["codes"], "--reference", folder["codes"]],
            ["plan", "--preset", "B"],
            ["bench", "train", "--preset", "tiny"],
        ];
        foreach (var command in commands)
        {
            foreach (var (name, expected) in ((string, string)[])[
                (NoDevice, "There is no device 'cuda:99' here; found: cpu"), ("tpu", "'tpu' is no device; name one like cpu, cuda, cuda:1, mps")])
            {
                var run = await CommandLine.RunAsync([.. command, "--device", name]);
                Assert.True(run.ExitCode == ExitCode.Usage, $"{command[0]} --device {name} exits with {run.ExitCode}: {run.Error}");
                Assert.Contains(expected, run.Error, StringComparison.Ordinal);
            }
        }

        Assert.Contains("use --device cpu", (await CommandLine.RunAsync([.. commands[0], "--device", NoDevice])).Error, StringComparison.Ordinal);
        Assert.False(Directory.Exists(folder["run"]));
        var engine = await CommandLine.RunAsync("sample", "--engine", "cpu", "--device", "cuda");
        Assert.Equal(ExitCode.Usage, engine.ExitCode);
        Assert.Contains("--engine cpu is C# on the processor", engine.Error, StringComparison.Ordinal);
    }

    /// <summary>What a GPU runs, on the processor: the reference step, in bf16, recomputed; stopped and continued.</summary>
    [Theory]
    [InlineData("fp32")]
    [InlineData("bf16")]
    public async Task The_reference_step_of_a_device_trains_on_the_processor(string precision)
    {
        using var folder = new TemporaryFolder();
        SmallCodes.Write(folder["codes"], folder["tokenizer"], gridSide: 4, count: 12);
        string[] Train(string output, string step) =>
        [
            "train", "--codes", folder["codes"], "--output", output, "--preset", "tiny", "--batch-size", "4", "--device", "cpu", "--step", step,
            "--precision", precision, "--recompute", "--steps", "12", "--log-every", "1", "--dropout", "0.1",
        ];
        foreach (var step in (string[])["fused", "reference"])
        {
            var run = await CommandLine.RunAsync(Train(folder[step], step));
            Assert.True(run.ExitCode == 0, run.Error);
        }

        double[] Losses(string run) => [.. File.ReadLines(Path.Combine(folder[run], "metrics.jsonl"))
            .Select(l => System.Text.Json.JsonDocument.Parse(l).RootElement).Where(l => l.TryGetProperty("loss", out _))
            .Select(l => l.GetProperty("loss").GetDouble())];
        Assert.Equal(12, Losses("reference").Length);
        Assert.Equal(Losses("fused"), Losses("reference"), (a, b) => Math.Abs(a - b) < (precision == "fp32" ? 1e-4 : 2e-2));
        var resumed = await CommandLine.RunAsync("train", "--resume", folder["reference"], "--extend-to", "16", "--device", "cpu");
        Assert.True(resumed.ExitCode == 0, resumed.Error);
    }

    [Fact]
    public async Task Gradients_travel_as_the_run_began()
    {
        using var folder = new TemporaryFolder();
        SmallCodes.Write(folder["codes"], folder["tokenizer"], gridSide: 4, count: 12);
        string[] train = ["train", "--codes", folder["codes"], "--output", folder["run"], "--preset", "tiny", "--batch-size", "4", "--steps", "2"];
        Assert.Equal(0, (await CommandLine.RunAsync([.. train, "--gradient-dtype", "bf16"])).ExitCode);
        var other = await CommandLine.RunAsync([.. train, "--resume", "--gradient-dtype", "fp32"]);
        Assert.Equal(ExitCode.Usage, other.ExitCode);
        Assert.Contains("travel between ranks as bf16, but fp32 is asked for (--gradient-dtype)", other.Error, StringComparison.Ordinal);
        Assert.Equal(ExitCode.Usage, (await CommandLine.RunAsync("train", "--resume", folder["run"], "--gradient-dtype", "fp32")).ExitCode);
        Assert.Equal(0, (await CommandLine.RunAsync([.. train, "--resume"])).ExitCode);
        Assert.Contains("\"bf16Gradients\": true", File.ReadAllText(Path.Combine(folder["run"], "run.json")), StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_plan_for_a_device_says_what_fits()
    {
        string[] plan = ["plan", "--preset", "L", "--recipe", "paper", "--json"];
        var large = (await CommandLine.RunAsync([.. plan, "--memory", "80G"])).Json.GetProperty("onDevice");
        var small = (await CommandLine.RunAsync([.. plan, "--memory", "1e10"])).Json.GetProperty("onDevice");
        int Micro(System.Text.Json.JsonElement device, string name) => device.GetProperty(name).GetInt32();
        Assert.InRange(Micro(large, "microBatch"), 2, 255);
        Assert.True(Micro(large, "microBatch") < Micro(large, "microBatchRecomputed"));
        Assert.True(Micro(small, "microBatch") < Micro(large, "microBatch"));
        Assert.Contains("not even one image fits", (await CommandLine.RunAsync([.. plan[..^1], "--memory", "4G"])).Output, StringComparison.Ordinal);
        foreach (var text in (string[])["much", "0", "-1G", "1e30", "NaN", ""])
        {
            var run = await CommandLine.RunAsync([.. plan, $"--memory={text}"]);
            Assert.True(run.ExitCode == ExitCode.Usage, $"{text}: {run.ExitCode} {run.Error}");
        }
    }

    /// <summary>Where the driver is not there, doctor says so; nothing else is known of the machine that runs this.</summary>
    [Fact]
    public async Task Doctor_lists_devices_and_says_what_was_not_found()
    {
        var report = (await CommandLine.RunAsync("doctor", "--json")).Json;
        Assert.Equal("cpu", report.GetProperty("devices")[0].GetString());
        var missing = CudaDriver.Find("libcuda-that-is-not-here.so.1");
        Assert.Equal(("NVIDIA's driver is not here (libcuda-that-is-not-here.so.1 does not load)", 0), (missing.Problem, missing.Devices.Count));
        Assert.StartsWith("libc.so.6 is no driver of NVIDIA", CudaDriver.Find("libc.so.6").Problem, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Bench_times_the_reference_step()
    {
        var figures = (await CommandLine.RunAsync(
            "bench", "train", "--preset", "tiny", "--grid", "4", "--vocabulary", "32", "--rounds", "1", "--no-baseline", "--json", "--step",
            "reference", "--patch-sides", "2")).Json.EnumerateArray().ToList();
        Assert.Contains(figures, f => f.GetProperty("name").GetString() == "p2.step.median" && f.GetProperty("value").GetDouble() > 0);
        Assert.DoesNotContain(figures, f => f.GetProperty("name").GetString()!.StartsWith("p2.part.", StringComparison.Ordinal));
    }
}
