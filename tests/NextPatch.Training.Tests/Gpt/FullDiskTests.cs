using NextPatch.Core;
using NextPatch.Core.Checkpoints;
using NextPatch.Training.Gpt;
using NextPatch.Training.Runs;

namespace NextPatch.Training.Tests.Gpt;

/// <summary>The kernel refuses to let files grow: config.json still fits, the weights break off in the middle.</summary>
[NoTensorLeaks]
public sealed class FullDiskTests
{
    private const ulong SmallerThanTheWeights = 6000;

    [Fact]
    public void The_run_goes_on_and_writes_the_checkpoint_it_owes_when_there_is_room()
    {
        using var folder = new TemporaryFolder();
        var codes = TinyRun.WriteCodes(folder["codes"]);
        var plain = TinyRun.Train(codes, new GptRunOptions { Output = folder["plain"] });
        using var limit = new FileSizeLimit(ulong.MaxValue >> 1);
        var (notes, during, after) = (new List<string>(), Array.Empty<string>(), Array.Empty<string>());
        var run = folder["run"];
        var result = TinyRun.Train(codes, new GptRunOptions
        {
            Output = run, CheckpointEvery = 4, KeepLast = 3, SampleEvery = 1, RetryInterval = TimeSpan.Zero, OnNote = notes.Add,
            OnSample = (step, _) =>
            {
                switch (step)
                {
                    case 5: limit.Set(SmallerThanTheWeights); break;
                    case 9: during = [.. Names(run)]; limit.Set(ulong.MaxValue >> 1); break;
                    case 10: after = [.. Names(run)]; break;
                }
            },
        });
        Assert.Equal(["step-00000004"], during); // 8 failed and left nothing
        Assert.Equal(["step-00000004", "step-00000010"], after); // owed since 8
        Assert.Equal(["step-00000004", "step-00000010", "step-00000012"], Names(run));
        Assert.Equal(TinyRun.Weights(plain.Checkpoint!, "optimizer"), TinyRun.Weights(result.Checkpoint!, "optimizer"));
        Assert.Contains(
            notes, n => n.Contains("checkpoint of step 8 could not be written", StringComparison.Ordinal) && n.Contains(
            "The last checkpoint is step-00000004.", StringComparison.Ordinal));
        Assert.Contains(notes, n => n.Contains("The checkpoint of step 10 is written", StringComparison.Ordinal));
    }

    [Fact]
    public void Asked_to_stop_the_run_ends_and_resumes_from_the_old_checkpoint()
    {
        using var folder = new TemporaryFolder();
        var codes = TinyRun.WriteCodes(folder["codes"]);
        var plain = TinyRun.Train(codes, new GptRunOptions { Output = folder["plain"] });
        using (var limit = new FileSizeLimit(ulong.MaxValue >> 1))
        {
            var options = new GptRunOptions
            {
                Output = folder["run"], CheckpointEvery = 4, OnFullDisk = FullDiskAction.Stop, SampleEvery = 5,
                OnSample = (_, _) => limit.Set(SmallerThanTheWeights),
            };
            var error = Assert.Throws<NextPatchException>(() => TinyRun.Train(codes, options));
            Assert.Contains("checkpoint of step 8 could not be written", error.Message, StringComparison.Ordinal);
            Assert.Contains("Resume", error.Message, StringComparison.Ordinal);
        }

        Assert.Equal(["step-00000004"], Names(folder["run"]));
        var resumed = TinyRun.Train(codes, new GptRunOptions { Output = folder["run"], Resume = true });
        Assert.Equal(TinyRun.Weights(plain.Checkpoint!), TinyRun.Weights(resumed.Checkpoint!));
    }

    [Fact]
    public void A_finished_run_waits_for_room()
    {
        using var folder = new TemporaryFolder();
        var codes = TinyRun.WriteCodes(folder["codes"]);
        using var limit = new FileSizeLimit(SmallerThanTheWeights);
        var failures = 0;
        var result = TinyRun.Train(codes, new GptRunOptions
        {
            Output = folder["run"],
            RetryInterval = TimeSpan.FromMilliseconds(1),
            OnNote = n =>
            {
                if (n.Contains("could not be written", StringComparison.Ordinal) && ++failures == 3)
                {
                    limit.Set(ulong.MaxValue >> 1);
                }
            },
        });
        Assert.Equal((3, "step-00000012"), (failures, Path.GetFileName(result.Checkpoint)));
    }

    [Fact]
    public void A_cancelled_run_does_not_wait_for_room()
    {
        using var folder = new TemporaryFolder();
        var codes = TinyRun.WriteCodes(folder["codes"]);
        using var limit = new FileSizeLimit(SmallerThanTheWeights);
        using var stop = new CancellationTokenSource();
        var options = new GptRunOptions { Output = folder["run"], SampleEvery = 3, OnSample = (_, _) => stop.Cancel() };
        var error = Assert.Throws<NextPatchException>(() => TinyRun.Train(codes, options, cancellation: stop.Token));
        Assert.Contains("checkpoint of step 3 could not be written", error.Message, StringComparison.Ordinal);
        Assert.Empty(Names(folder["run"]));
    }

    /// <summary>No file may take a byte more: metrics, events, sample grids, dumps, checkpoints.</summary>
    [Fact]
    public void No_line_of_metrics_is_lost_or_torn()
    {
        using var folder = new TemporaryFolder();
        var codes = TinyRun.WriteCodes(folder["codes"]);
        using var limit = new FileSizeLimit(ulong.MaxValue >> 1);
        var (notes, run) = (new List<string>(), folder["run"]);
        var (metrics, torn) = (Path.Combine(run, "metrics.jsonl"), 0L);
        TinyRun.Train(codes, new GptRunOptions
        {
            Output = run, LogEvery = 1, CheckpointEvery = 2, SampleEvery = 1, OnNote = notes.Add,
            OnSample = (step, _) =>
            {
                switch (step)
                {
                    case 3: limit.Set((ulong)new FileInfo(metrics).Length + 50); break; // ends in the middle of a line
                    case 6: torn = new FileInfo(metrics).Length; File.WriteAllBytes(Path.Combine(run, "grid.png"), new byte[100_000]); break;
                    case 8: limit.Set(ulong.MaxValue >> 1); break;
                }
            },
        });
        var lines = File.ReadAllLines(metrics);
        Assert.Equal(Enumerable.Range(1, 12), lines.Select(l => System.Text.Json.JsonDocument.Parse(l).RootElement.GetProperty("step").GetInt32()));
        Assert.Equal(lines.Take(3).Sum(l => l.Length + 1) + 50, torn);
        Assert.Contains(notes, n => n.StartsWith("metrics.jsonl cannot be written", StringComparison.Ordinal));
        Assert.Contains(notes, n => n.StartsWith("metrics.jsonl is written again", StringComparison.Ordinal));
        Assert.Contains(notes, n => n.StartsWith("The sample grid of step 6 could not be written", StringComparison.Ordinal));
        Assert.Equal(7, EventsWithLoss(Directory.GetFiles(Path.Combine(run, "tensorboard")).Single())); // steps 4 to 8 left out
    }

    private static IReadOnlyList<string> Names(string run)
    {
        Assert.Empty(Directory.GetDirectories(run, ".*"));
        return new CheckpointFolder(run).All();
    }

    /// <summary>Walks the records (length, checksum, bytes, checksum), which only works where none is torn.</summary>
    private static int EventsWithLoss(string path)
    {
        var bytes = File.ReadAllBytes(path).AsSpan();
        var count = 0;
        while (bytes.Length > 0)
        {
            var length = (int)BitConverter.ToInt64(bytes);
            count += bytes.Slice(12, length).IndexOf("train/loss"u8) >= 0 ? 1 : 0;
            bytes = bytes[(length + 16)..];
        }

        return count;
    }
}
