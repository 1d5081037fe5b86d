using System.Text.Json;
using System.Text.Json.Nodes;
using NextPatch.Cli.CommandLine;

namespace NextPatch.Cli.Tests.Commands;

[NoTensorLeaks]
public sealed class StudyCommandTests : IDisposable
{
    private readonly TemporaryFolder _folder = new();

    public StudyCommandTests() => SmallCodes.Write(_folder["codes"], _folder["tokenizer"], gridSide: 4, count: 60, heldOut: 20);

    public void Dispose() => _folder.Dispose();

    [Fact]
    public async Task Every_run_is_measured_at_every_point_with_what_was_chosen_on_another_seed()
    {
        var study = Study();
        study["metric"] = new JsonObject { ["count"] = 8, ["seed"] = 11 };
        study["tuning"] = new JsonObject
        {
            ["seed"] = 9, ["lr"] = new JsonArray(1e-3, 1e-2), ["share"] = 0.5, ["cfg-scale"] = new JsonArray(1, 2), ["count"] = 6,
        };
        var run = await Run(study);
        Assert.True(run.ExitCode == ExitCode.Success, run.Error);

        using var json = JsonDocument.Parse(File.ReadAllText(_folder["study/study.json"]));
        var runs = json.RootElement.GetProperty("runs").EnumerateArray().ToList();
        Assert.Equal(
            [("plain", 1), ("plain", 2), ("npp", 1), ("npp", 2), ("flops", 1), ("flops", 2), ("time", 1), ("time", 2)],
            runs.Select(r => (r.GetProperty("schedule").GetString()!, r.GetProperty("seed").GetInt32())));
        foreach (var points in runs.Select(r => r.GetProperty("points").EnumerateArray().ToList()))
        {
            Assert.Equal(2, points.Count);
            Assert.All(points, p => Assert.All(
                (string[])["images", "flops", "cpuSeconds", "wallSeconds", "loss", "emaLoss", "fd-mobilenet-v1-0.25-128"],
                name => Assert.True(p.GetProperty(name).GetDouble() > 0, name)));
            Assert.All(points, p => Assert.True(p.TryGetProperty("precision-mobilenet-v1-0.25-128", out _)));
        }

        double Flops(int index) => runs[index].GetProperty("points")[1].GetProperty("flops").GetDouble();
        Assert.Equal(80, runs[2].GetProperty("points")[1].GetProperty("images").GetInt32());
        Assert.True(Flops(4) <= Flops(2) && Flops(4) > 0.8 * Flops(2));

        // What is tried is said, and lies apart from what is reported.
        var schedule = json.RootElement.GetProperty("schedules")[0];
        Assert.Equal(
            [1e-3, 1e-2], schedule.GetProperty("learningRatesTried").EnumerateArray().Select(t => t.GetProperty("learningRate").GetDouble()));
        Assert.Equal(2, schedule.GetProperty("cfgScalesTried").GetArrayLength());
        double Best(string tried, string value, string by) => schedule.GetProperty(tried).EnumerateArray().MinBy(t => t.GetProperty(by).GetDouble())
            .GetProperty(value).GetDouble();
        Assert.Equal(Best("learningRatesTried", "learningRate", "loss"), runs[0].GetProperty("learningRate").GetDouble());
        Assert.Equal(Best("cfgScalesTried", "cfgScale", "distance"), runs[0].GetProperty("cfgScale").GetDouble());
        Assert.True(Directory.Exists(_folder["study/tuning/plain-lr0.001"]));
        Assert.True(File.Exists(_folder["study/runs/npp-1/run.json"]));
        var page = File.ReadAllText(_folder["study/study.html"]);
        Assert.All((string[])["fd-mobilenet", "training FLOPs", "seconds of the processor", "Pairs by seed", "Samples", "±"],
            part => Assert.Contains(part, page, StringComparison.Ordinal));
    }

    [Fact]
    public async Task Seeds_and_schedules_that_are_added_repeat_nothing()
    {
        Assert.Equal(ExitCode.Success, (await Run(Study())).ExitCode);
        var before = File.ReadAllBytes(_folder["study/runs/npp-1/points.json"]);
        var metrics = File.GetLastWriteTimeUtc(_folder["study/runs/npp-1/metrics.jsonl"]);
        var more = Study();
        more["seeds"] = new JsonArray(1, 2, 5);
        more["schedules"]!.AsArray().Add(new JsonObject { ["name"] = "sum", ["train"] = new JsonObject { ["grouping"] = "sum" } });
        var run = await Run(more);

        Assert.True(run.ExitCode == ExitCode.Success, run.Error);
        Assert.Equal(before, File.ReadAllBytes(_folder["study/runs/npp-1/points.json"]));
        Assert.Equal(metrics, File.GetLastWriteTimeUtc(_folder["study/runs/npp-1/metrics.jsonl"]));
        Assert.True(File.Exists(_folder["study/runs/sum-5/points.json"]));
    }

    /// <summary>Guidance of short trials is another than that of whole runs.</summary>
    [Theory]
    [InlineData("1")]
    [InlineData("2")]
    public async Task Guidance_is_chosen_with_a_longer_run_of_the_tuning_seed_where_that_is_asked_for(string jobs)
    {
        var study = Study();
        study["schedules"] = new JsonArray(study["schedules"]![0]!.DeepClone());
        study["seeds"] = new JsonArray(1);
        study["metric"] = new JsonObject { ["count"] = 8, ["seed"] = 11 };
        study["tuning"] = new JsonObject
        {
            ["seed"] = 9, ["lr"] = new JsonArray(1e-3, 1e-2), ["share"] = 0.5, ["cfg-scale"] = new JsonArray(1, 2), ["cfg-share"] = 1, ["count"] = 6,
        };
        var run = await Run(study, "study", default, "--jobs", jobs);
        Assert.True(run.ExitCode == ExitCode.Success, run.Error);

        Assert.True(Directory.Exists(_folder["study/tuning/plain-share1/step-00000010"])); // the trials have five steps
        Assert.True(Directory.Exists(_folder["study/tuning/plain-lr0.01/step-00000005"]));
        var guidance = JsonNode.Parse(File.ReadAllText(_folder["study/tuning/plain-guidance.json"]))!;
        Assert.Equal(1, guidance["share"]!.GetValue<double>());
        var best = guidance["tried"]!.AsArray().MinBy(t => t!["distance"]!.GetValue<double>())!["cfgScale"]!.GetValue<double>();
        using var json = JsonDocument.Parse(File.ReadAllText(_folder["study/study.json"]));
        Assert.Equal(best, json.RootElement.GetProperty("runs")[0].GetProperty("cfgScale").GetDouble());

        study["tuning"]!["cfg-share"] = null; // chosen anew, with the trial
        Assert.Contains((await Run(study)).ExitCode, (int[])[ExitCode.Success, ExitCode.Usage]); // refused where that gives another guidance
        Assert.Null(JsonNode.Parse(File.ReadAllText(_folder["study/tuning/plain-guidance.json"]))!["share"]);
    }

    /// <summary>A study that was killed between the last measurement and the last checkpoint.</summary>
    [Fact]
    public async Task A_run_without_its_last_checkpoint_is_not_done()
    {
        var study = Study();
        study["schedules"] = new JsonArray(study["schedules"]![0]!.DeepClone());
        study["seeds"] = new JsonArray(1);
        Assert.Equal(ExitCode.Success, (await Run(study)).ExitCode);
        var weights = File.ReadAllBytes(_folder["study/runs/plain-1/step-00000010/model.safetensors"]);
        Directory.Delete(_folder["study/runs/plain-1/step-00000010"], recursive: true);
        File.Delete(_folder["study/runs/plain-1/latest"]);
        Assert.Equal(ExitCode.Success, (await Run(study)).ExitCode);
        Assert.Equal(weights, File.ReadAllBytes(_folder["study/runs/plain-1/step-00000010/model.safetensors"]));
    }

    [Fact]
    public async Task A_run_of_another_definition_is_refused_and_told_apart()
    {
        Assert.Equal(ExitCode.Success, (await Run(Study())).ExitCode);
        var other = Study();
        other["schedules"]![1]!["train"] = new JsonObject { ["stage-rate"] = 0.75 };
        var refused = await Run(other);
        Assert.Equal(ExitCode.Usage, refused.ExitCode);
        Assert.Contains("npp-1", refused.Error, StringComparison.Ordinal);
        Assert.Contains("training.stageRate: 0.5 then, 0.75 now", refused.Error, StringComparison.Ordinal);

        var longer = Study();
        longer["images"] = 160;
        Assert.Contains("training.steps: 10 then, 20 now", (await Run(longer)).Error, StringComparison.Ordinal);
    }

    /// <summary>Stopped wherever it is, and side by side in processes: the same weights, so the same losses.</summary>
    [Fact]
    public async Task A_study_that_is_stopped_and_goes_on_side_by_side_gives_the_same()
    {
        Assert.Equal(ExitCode.Success, (await Run(Study())).ExitCode);
        var whole = Losses("study");
        using (var stop = new CancellationTokenSource())
        {
            stop.CancelAfter(TimeSpan.FromSeconds(0.4));
            var stopped = await Run(Study(), "other", stop.Token);
            Assert.Contains(stopped.ExitCode, (int[])[ExitCode.Cancelled, ExitCode.Success]);
        }

        using var process = CommandProcess.Start([.. Words("other"), "--jobs", "2"]);
        process.BeginErrorReadLine();
        await CommandProcess.WaitFor(() => File.Exists(_folder["other/runs/npp-2/points.json"]), process);
        process.Kill(); // its children stop, because the pipe closes
        await process.WaitForExitAsync(TestContext.Current.CancellationToken);
        var last = await Run(Study(), "other", default, "--jobs", "2");

        Assert.True(last.ExitCode == ExitCode.Success, last.Error);
        var again = Losses("other");
        Assert.Equal(whole.Keys, again.Keys);
        Assert.All(whole.Where(l => !l.Key.StartsWith("time", StringComparison.Ordinal)), l => Assert.Equal(l.Value, again[l.Key], 1e-5));
    }

    [Theory]
    [InlineData("""{ "seeds": [1], "schedules": [{ "name": "a" }] }""", "either 'images' or 'epochs'")]
    [InlineData("""{ "images": 8, "seeds": [1, 1], "schedules": [{ "name": "a" }] }""", "different seeds")]
    [InlineData("""{ "images": 8, "seeds": [1], "schedules": [{ "name": "a/b" }] }""", "'a/b'")]
    [InlineData("""{ "images": 8, "seeds": [1], "schedules": [{ "name": "a" }, { "name": "a" }] }""", "there twice")]
    [InlineData("""{ "images": 8, "seeds": [1], "schedules": [{ "name": "a", "equal": "flops", "to": "b" }] }""", "must name in 'to'")]
    [InlineData("""{ "images": 8, "seeds": [1], "schedules": [{ "name": "a", "train": { "steps": 4 } }] }""", "'steps' is not a schedule's to say")]
    [InlineData("""{ "images": 8, "seeds": [1], "schedules": [{ "name": "a", "train": { "lr-shedule": "wsd" } }] }""", "lr-schedule")]
    [InlineData("""{ "images": 8, "seeds": [1], "schedules": [{ "name": "a", "train": { "lr-schedule": "cosine" } }] }""", "cosine")]
    [InlineData("""{ "images": 8, "seeds": [1], "tuning": { "seed": 1 }, "schedules": [{ "name": "a" }] }""", "is one of the reported ones")]
    [InlineData("""{ "images": 8, "seeds": [1], "points": [0.5], "schedules": [{ "name": "a" }] }""", "end with 1")]
    [InlineData("""{ "images": 8, "seeds": [1], "schedule": [] }""", "schedule")]
    [InlineData("""{ "images": 8, "seeds": [1], "held-out": -1, "schedules": [{ "name": "a" }] }""", "'held-out' -1 must be at least 0")]
    [InlineData("""{ "epochs": 1e300, "seeds": [1], "schedules": [{ "name": "a" }] }""", "at most a million millions")]
    [InlineData("""{ "images": 8, "seeds": [1], "train": null, "schedules": [{ "name": "a" }] }""", "'train'")]
    [InlineData("""{ "images": 8, "seeds": [1], "schedules": [{ "name": "a", "train": null }] }""", "'train'")]
    [InlineData("""{ "images": 8, "seeds": [1], "tuning": { "seed": 2, "lr": null }, "schedules": [{ "name": "a" }] }""", "'lr'")]
    [InlineData("""{ "images": 8, "seeds": [1], "tuning": { "seed": 2, "cfg-share": 1 }, "schedules": [{ "name": "a" }] }""", "'cfg-share'")]
    [InlineData("""{ "images": 8, "seeds": [1], "schedules": [{ "name": "a", "train": { "stages": "2:10,1:10" } }] }""", "write shares")]
    public async Task What_cannot_work_is_refused_before_anything_is_trained(string study, string message)
    {
        File.WriteAllText(_folder["study.json"], study);
        var run = await CommandLine.RunAsync("study", _folder["study.json"], "--codes", _folder["codes"], "--output", _folder["study"]);
        Assert.Equal(ExitCode.Usage, run.ExitCode);
        Assert.Contains(message, run.Error, StringComparison.Ordinal);
        Assert.False(Directory.Exists(_folder["study"]));
    }

    private static JsonObject Study() => new()
    {
        ["description"] = "tiny", ["train"] = new JsonObject { ["preset"] = "tiny", ["batch-size"] = 8, ["precision"] = "fp32", ["lr"] = 1e-2 },
        ["images"] = 80, ["points"] = new JsonArray(0.5, 1), ["held-out"] = 0, ["seeds"] = new JsonArray(1, 2),
        ["schedules"] = new JsonArray(
            new JsonObject { ["name"] = "plain", ["train"] = new JsonObject { ["patch-level"] = 1 } },
            new JsonObject { ["name"] = "npp" },
            new JsonObject { ["name"] = "flops", ["train"] = new JsonObject { ["patch-level"] = 1 }, ["equal"] = "flops", ["to"] = "npp" },
            new JsonObject { ["name"] = "time", ["train"] = new JsonObject { ["patch-level"] = 1 }, ["equal"] = "time", ["to"] = "npp" }),
    };

    private string[] Words(string output)
        => ["study", _folder["study.json"], "--codes", _folder["codes"], "--tokenizer", _folder["tokenizer"], "--output", _folder[output]];

    private Task<CommandLine> Run(JsonObject study, string output = "study", CancellationToken cancellation = default, params string[] more)
    {
        if (study["tuning"] is not null)
        {
            study["train"]!.AsObject().Remove("lr");
        }

        File.WriteAllText(_folder["study.json"], study.ToJsonString());
        return CommandLine.RunAsync([.. Words(output), .. more], cancellation);
    }

    private Dictionary<string, double> Losses(string output)
    {
        using var json = JsonDocument.Parse(File.ReadAllText(_folder[output + "/study.json"]));
        return json.RootElement.GetProperty("runs").EnumerateArray().ToDictionary(
            r => $"{r.GetProperty("schedule").GetString()}-{r.GetProperty("seed").GetInt32()}",
            r => r.GetProperty("points").EnumerateArray().Last().GetProperty("loss").GetDouble());
    }
}
