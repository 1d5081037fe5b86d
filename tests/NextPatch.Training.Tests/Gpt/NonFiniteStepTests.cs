using System.Text.Json;
using NextPatch.Core;
using NextPatch.Core.Checkpoints;
using NextPatch.Core.Checkpoints.Numpy;
using NextPatch.Data.Codes;
using NextPatch.Torch.Gpt;
using NextPatch.Training.Gpt;
using TorchSharp;

namespace NextPatch.Training.Tests.Gpt;

/// <summary>A weight is NaN for a while: set after one step, restored after another.</summary>
[NoTensorLeaks]
public sealed class NonFiniteStepTests
{
    [Fact]
    public void A_skipped_step_leaves_weights_moments_and_average_as_they_were()
    {
        using var folder = new TemporaryFolder();
        using var stop = new CancellationTokenSource();
        using var poison = new Poison(from: 5, to: 6);
        var notes = new List<string>();
        var options = Options(folder["run"], poison) with
        {
            CheckpointEvery = 5,
            OnNote = notes.Add,
            OnSample = (step, model) => { poison.Apply(step, model); if (step == 6) { stop.Cancel(); } },
        };
        var result = TinyRun.Train(TinyRun.WriteCodes(folder["codes"]), options, cancellation: stop.Token);

        Assert.Equal((6, 1), (result.Step, result.SkippedSteps));
        var (before, after) = (Path.Combine(folder["run"], "step-00000005"), Path.Combine(folder["run"], "step-00000006"));
        foreach (var file in new[] { "model", "ema", "optimizer" })
        {
            Assert.Equal(TinyRun.Weights(before, file), TinyRun.Weights(after, file));
        }

        using var state = JsonDocument.Parse(File.ReadAllText(Path.Combine(after, "state.json")));
        Assert.Equal(
            (6, 1, 1), (state.RootElement.GetProperty("step").GetInt32(), state.RootElement.GetProperty("skippedSteps").GetInt32(),
            state.RootElement.GetProperty("skippedInARow").GetInt32()));
        Assert.Contains(
            notes, n => n.StartsWith("The loss of step 5 is NaN", StringComparison.Ordinal) && n.Contains(
            "1 in a row, 1 in all", StringComparison.Ordinal));
        Assert.Equal([6L, 16L], NpyFile.Read(Path.Combine(folder["run"], "nan-step-00000005", "codes.npy")).Shape);
        Assert.Equal(
            """{"step":6,"stage":0,"patchSide":2,"skipped":true,"skippedSteps":1}""",
            File.ReadAllLines(Path.Combine(folder["run"], "metrics.jsonl"))[^1]);
    }

    /// <summary>Cancelled in the row of skipped steps, right after it, and later.</summary>
    [Theory]
    [InlineData(6)]
    [InlineData(7)]
    [InlineData(9)]
    public void A_run_with_skipped_steps_resumes_to_the_same_bytes(long stopAfter)
    {
        using var folder = new TemporaryFolder();
        var codes = TinyRun.WriteCodes(folder["codes"]);
        using var poison = new Poison(from: 5, to: 7);
        var whole = TinyRun.Train(codes, Options(folder["whole"], poison));
        Assert.Equal((true, 2), (whole.IsComplete, whole.SkippedSteps));

        using var stop = new CancellationTokenSource();
        using var first = new Poison(from: 5, to: Math.Min(7, stopAfter));
        TinyRun.Train(
            codes, Options(folder["parts"], first) with
            {
                OnSample = (step, model) => { first.Apply(step, model); if (step == stopAfter) { stop.Cancel(); } },
            }, cancellation: stop.Token);

        // The second session poisons the step that the first did not come to.
        using var second = new Poison(from: 5, to: 7);
        using var store = CodeStore.Open(codes);
        using var trainer = new GptTrainer(TinyRun.Config(), store, Options(folder["parts"], second) with { Resume = true });
        second.Apply(stopAfter, trainer.Model);
        var resumed = trainer.Run();
        Assert.Equal(2, resumed.SkippedSteps);
        foreach (var file in new[] { "model", "ema", "optimizer" })
        {
            Assert.Equal(TinyRun.Weights(whole.Checkpoint!, file), TinyRun.Weights(resumed.Checkpoint!, file));
        }
    }

    [Theory]
    [InlineData(1)]
    [InlineData(4)]
    public void So_many_in_a_row_end_the_run(int limit)
    {
        using var folder = new TemporaryFolder();
        using var poison = new Poison(from: 5, to: 100);
        var options = Options(folder["run"], poison) with { CheckpointEvery = 1, StopAfterSkips = limit };
        var error = Assert.Throws<NextPatchException>(() => TinyRun.Train(TinyRun.WriteCodes(folder["codes"]), options));
        Assert.Contains($"The loss of step {4 + limit} is NaN", error.Message, StringComparison.Ordinal);
        Assert.Contains("nan-step-00000005", error.Message, StringComparison.Ordinal);
        Assert.Contains("checkpoint from before is " + Path.Combine(folder["run"], "step-00000005"), error.Message, StringComparison.Ordinal);
        // none of doubtful weights, and the good ones stay
        Assert.Equal(["step-00000003", "step-00000004", "step-00000005"], new CheckpointFolder(folder["run"]).All());
        Assert.Equal("nan-step-00000005", Path.GetFileName(Directory.GetDirectories(folder["run"], "nan-step-*").Single()));
    }

    [Fact]
    public void The_row_is_counted_on_after_a_resume()
    {
        using var folder = new TemporaryFolder();
        var codes = TinyRun.WriteCodes(folder["codes"]);
        using var stop = new CancellationTokenSource();
        using Poison first = new(from: 5, to: 7), second = new(from: 5, to: 100);
        var options = Options(folder["run"], first) with { StopAfterSkips = 3 };
        TinyRun.Train(
            codes, options with
            {
                OnSample = (step, model) => { first.Apply(step, model); if (step == 7) { stop.Cancel(); } },
            }, cancellation: stop.Token);
        using var store = CodeStore.Open(codes);
        using var trainer = new GptTrainer(TinyRun.Config(), store, options with { Resume = true, OnSample = second.Apply });
        second.Apply(7, trainer.Model);
        Assert.Contains("The loss of step 7 is NaN", Assert.Throws<NextPatchException>(() => trainer.Run()).Message, StringComparison.Ordinal);
    }

    [Fact]
    public void A_run_whose_last_steps_break_ends_with_a_note_in_place_of_losses()
    {
        using var folder = new TemporaryFolder();
        using var poison = new Poison(from: 10, to: 100);
        var notes = new List<string>();
        var result = TinyRun.Train(TinyRun.WriteCodes(folder["codes"]), Options(folder["run"], poison) with { OnNote = notes.Add });
        Assert.Equal((true, 2), (result.IsComplete, result.SkippedSteps));
        Assert.Null(result.Outcome!.HeldOutLoss);
        Assert.True(result.Outcome.EmaHeldOutLoss > 0); // the average is of the steps before
        Assert.Single(notes, n => n.StartsWith("The held-out loss of the weights is NaN", StringComparison.Ordinal));
        Assert.Contains("\"result\"", File.ReadAllLines(folder["run/metrics.jsonl"])[^1], StringComparison.Ordinal);
    }

    [Fact]
    public void A_finite_step_ends_the_row()
    {
        using var folder = new TemporaryFolder();
        using Poison first = new(from: 2, to: 4), second = new(from: 5, to: 7), third = new(from: 9, to: 11);
        var options = Options(folder["run"], first) with
        {
            StopAfterSkips = 3,
            OnSample = (step, model) => { first.Apply(step, model); second.Apply(step, model); third.Apply(step, model); },
        };
        var result = TinyRun.Train(TinyRun.WriteCodes(folder["codes"]), options);
        Assert.Equal((true, 6), (result.IsComplete, result.SkippedSteps));
    }

    private static GptRunOptions Options(string run, Poison poison) => new() { Output = run, LogEvery = 1, SampleEvery = 1, OnSample = poison.Apply };

    private sealed class Poison(long from, long to) : IDisposable
    {
        private torch.Tensor? _good;

        public void Apply(long step, GptModel model)
        {
            using var noGrad = torch.no_grad();
            var weight = model.parameters().First();
            if (step >= from && step < to && _good is null)
            {
                using var alias = weight.detach();
                _good = alias.clone();
                weight.fill_(float.NaN);
            }
            else if (step >= to && _good is not null)
            {
                weight.copy_(_good);
                Dispose();
            }
        }

        public void Dispose()
        {
            _good?.Dispose();
            _good = null;
        }
    }
}
