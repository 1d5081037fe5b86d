using System.Text.Json;
using NextPatch.Core;
using NextPatch.Core.Checkpoints;
using NextPatch.Core.Configuration;
using NextPatch.Training.Gpt;
using NextPatch.Training.Tests.Gpt;

namespace NextPatch.Training.Tests;

/// <summary>What a run leaves behind so that nobody has to remember: its result, and how to go on.</summary>
[NoTensorLeaks]
public sealed class RunResultTests : IDisposable
{
    private readonly TemporaryFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    [Fact]
    public void A_finished_run_tells_its_result_everywhere_and_its_checkpoint_stays_whole()
    {
        var result = GptTraining.Run(Request() with { Run = new() { Output = _folder["run"], LogEvery = 4, ValidateEvery = 6 } });

        var outcome = result.Outcome!;
        Assert.Equal((12, 72L, true), (outcome.Step, outcome.Images, outcome.IsComplete));
        Assert.Equal(result.ValidationLoss, outcome.HeldOutLoss);
        Assert.Equal(result.AverageValidationLoss, outcome.EmaHeldOutLoss);
        Assert.Equal(Math.Log(TinyRun.Vocabulary), outcome.UniformLoss);
        Assert.Equal(0.625, outcome.PlannedRelativeCost);
        Assert.True(outcome.MeasuredRelativeCost > 0 && outcome.Seconds > 0);
        Assert.Null(CheckpointSums.ProblemOf(result.Checkpoint!));
        var state = ConfigJson.Read(Path.Combine(result.Checkpoint!, "state.json"), ConfigJson.Default.RunState);
        Assert.Equal(outcome.HeldOutLoss, state.Result!.HeldOutLoss);
        using var last = JsonDocument.Parse(File.ReadAllLines(_folder["run/metrics.jsonl"])[^1]);
        Assert.Equal(outcome.HeldOutLoss, last.RootElement.GetProperty("result").GetProperty("heldOutLoss").GetDouble());
        Assert.True(last.RootElement.TryGetProperty("loss", out _));

        var history = RunHistory.Read(_folder["run"]);
        Assert.Equal(outcome.HeldOutLoss, history.Result!.HeldOutLoss);
        Assert.Equal([6L, 12], history.HeldOut.Select(p => p.At.Step));
        Assert.Equal(outcome.PlannedFlops, history.Points[^1].Flops, outcome.PlannedFlops * 0.2); // a stage began between two lines
        Assert.Equal(Path.GetFullPath(_folder["codes"]), history.Codes);
    }

    [Fact]
    public void A_run_continues_by_its_folder_alone_and_with_the_same_bytes()
    {
        var whole = GptTraining.Run(Request() with { Run = new() { Output = _folder["whole"] } });
        using var stop = new CancellationTokenSource();
        var options = new GptRunOptions
        {
            Output = _folder["run"], LogEvery = 1, CheckpointEvery = 3, KeepLast = 2, OnProgress = p => { if (p.Step == 5) { stop.Cancel(); } },
        };
        Assert.False(GptTraining.Run(Request() with { Run = options }, cancellation: stop.Token).IsComplete);

        var request = GptTraining.Continue(_folder["run"]);
        var resumed = GptTraining.Run(request);

        Assert.Equal((true, 3L, 2, 1L), (request.Run.Resume, request.Run.CheckpointEvery, request.Run.KeepLast, request.Run.LogEvery));
        Assert.Equal(TinyRun.Weights(whole.Checkpoint!), TinyRun.Weights(resumed.Checkpoint!));
        Assert.Equal(12, File.ReadAllLines(_folder["run/metrics.jsonl"]).Length);
        Assert.Equal(TinyRun.Weights(resumed.Checkpoint!), TinyRun.Weights(GptTraining.Run(request).Checkpoint!)); // again: nothing is left to do
        Assert.Equal(12, File.ReadAllLines(_folder["run/metrics.jsonl"]).Length);
    }

    [Fact]
    public void A_longer_end_goes_on_with_the_last_stage_and_says_what_that_does()
    {
        GptTraining.Run(Request() with { Run = new() { Output = _folder["run"], LogEvery = 1 } });
        var notes = new List<string>();
        var request = GptTraining.Continue(_folder["run"]);

        var longer = GptTraining.Run(request with { Run = request.Run with { ExtendTo = 20, OnNote = notes.Add } });

        Assert.Equal(20, longer.Step);
        Assert.Equal([6 * 6L, 14 * 6], longer.StageImages);
        Assert.Contains(notes, n => n.Contains("grows from 12 to 20 steps: its last stage (p = 1) goes on", StringComparison.Ordinal));
        Assert.Contains(notes, n => n.Contains("learning rate goes from", StringComparison.Ordinal));
        var lines = File.ReadAllLines(_folder["run/metrics.jsonl"]);
        Assert.Equal(20, lines.Length);
        Assert.Equal(12, JsonDocument.Parse(lines[11]).RootElement.GetProperty("result").GetProperty("step").GetInt64());

        // The longer run is the run now; a shorter end is refused, and so is one without a run.
        Assert.Equal(20, GptTraining.Run(GptTraining.Continue(_folder["run"])).Step);
        request = GptTraining.Continue(_folder["run"]);
        Assert.Contains(
            "ExtendTo 15 is less than the 20 steps", Error(request with { Run = request.Run with { ExtendTo = 15 } }), StringComparison.Ordinal);
        Assert.Contains(
            "lengthens a run that is there", Error(Request() with { Run = new() { Output = _folder["new"], ExtendTo = 15 } }),
                StringComparison.Ordinal);
    }

    [Fact]
    public void Other_codes_and_codes_that_are_gone_are_refused()
    {
        GptTraining.Run(Request() with { Run = new() { Output = _folder["run"] } });
        var request = GptTraining.Continue(_folder["run"]);

        var others = Error(request with { Codes = TinyRun.WriteCodes(_folder["others"], count: 44) });
        Directory.Move(_folder["codes"], _folder["moved"]);
        var gone = Error(request);

        Assert.Contains("are others", others, StringComparison.Ordinal);
        Assert.Contains(_folder["codes"], gone, StringComparison.Ordinal);
        Assert.Contains("Codes", gone, StringComparison.Ordinal);
        Assert.Equal(12, GptTraining.Run(request with { Codes = _folder["moved"] }).Step);
        Assert.Throws<NextPatchException>(() => GptTraining.Continue(_folder["nothing"]));
    }

    private static string Error(GptTrainingRequest request) => Assert.ThrowsAny<NextPatchException>(() => GptTraining.Run(request)).Message;

    private GptTrainingRequest Request()
    {
        if (!Directory.Exists(_folder["codes"]))
        {
            TinyRun.WriteCodes(_folder["codes"]);
        }

        return new() { Codes = _folder["codes"], Model = TinyRun.Model, Training = TinyRun.Training, Run = new() { Output = _folder["run"] } };
    }
}
