using NextPatch.Core;
using NextPatch.Core.Checkpoints;
using NextPatch.Core.Checkpoints.Numpy;
using NextPatch.Core.Checkpoints.Safetensors;
using NextPatch.Torch.Loading;
using NextPatch.Training.Gpt;
using TorchSharp;

namespace NextPatch.Training.Tests.Gpt;

[NoTensorLeaks]
public sealed class GptTrainerTests
{
    /// <summary>Stopped in the coarse stage, at the switch, and in the fine stage; dropout, micro-batches and EMA on.</summary>
    [Theory]
    [InlineData(3)]
    [InlineData(6)]
    [InlineData(9)]
    public void A_resumed_run_ends_with_the_same_bytes(long stopAfter)
    {
        using var folder = new TemporaryFolder();
        var codes = TinyRun.WriteCodes(folder["codes"]);
        var config = TinyRun.Config(TinyRun.Training with { MicroBatch = 2 });
        var whole = TinyRun.Train(codes, new GptRunOptions { Output = folder["whole"] }, config);

        using var stop = new CancellationTokenSource();
        var first = TinyRun.Train(codes, new GptRunOptions
        {
            Output = folder["parts"],
            LogEvery = 1,
            OnProgress = p =>
            {
                if (p.Step == stopAfter)
                {
                    stop.Cancel();
                }
            },
        }, config, stop.Token);
        Assert.Equal((stopAfter, false), (first.Step, first.IsComplete));
        var second = TinyRun.Train(codes, new GptRunOptions { Output = folder["parts"], Resume = true }, config);

        Assert.True(second.IsComplete);
        foreach (var file in new[] { "model", "ema", "optimizer" })
        {
            Assert.Equal(TinyRun.Weights(whole.Checkpoint!, file), TinyRun.Weights(second.Checkpoint!, file));
        }

        Assert.Equal(whole.ValidationLoss, second.ValidationLoss);
    }

    [Fact]
    public void A_validation_on_the_way_judges_as_many_images_as_asked()
    {
        using var folder = new TemporaryFolder();
        var codes = TinyRun.WriteCodes(folder["codes"]);
        (double OnTheWay, double AtTheEnd) Losses(int images)
        {
            var lines = new List<TrainingProgress>();
            var result = TinyRun.Train(
                codes, new GptRunOptions { Output = folder[$"run-{images}"], ValidateEvery = 1, ValidationImages = images, OnProgress = lines.Add });
            return (lines[^2].ValidationLoss!.Value, result.ValidationLoss!.Value);
        }

        var all = Losses(0);
        Assert.Equal(all, Losses(8)); // TinyRun holds out eight
        Assert.Equal(all, Losses(100));
        var few = Losses(3);
        Assert.NotEqual(all.OnTheWay, few.OnTheWay);
        Assert.Equal(all.OnTheWay, few.OnTheWay, 0.2);
        Assert.Equal(all.AtTheEnd, few.AtTheEnd);
    }

    [Fact]
    public void A_run_stopped_after_its_last_step_is_whole_but_not_validated()
    {
        using var folder = new TemporaryFolder();
        var codes = TinyRun.WriteCodes(folder["codes"]);
        var whole = TinyRun.Train(codes, new GptRunOptions { Output = folder["whole"] });
        using var stop = new CancellationTokenSource();

        var stopped = TinyRun.Train(
            codes, new GptRunOptions
            {
                Output = folder["stopped"], OnProgress = p => (p.Step == TinyRun.Training.Steps ? stop : null)?.Cancel(),
            }, null, stop.Token);

        Assert.Equal((true, null, null), (stopped.IsComplete, stopped.ValidationLoss, stopped.AverageValidationLoss));
        Assert.NotNull(whole.ValidationLoss);
        Assert.All(["model", "ema", "optimizer"], file => Assert.Equal(
            TinyRun.Weights(whole.Checkpoint!, file), TinyRun.Weights(stopped.Checkpoint!, file)));
    }

    [Fact]
    public void Checkpoints_do_not_change_the_run_and_the_oldest_go()
    {
        using var folder = new TemporaryFolder();
        var codes = TinyRun.WriteCodes(folder["codes"]);
        var plain = TinyRun.Train(codes, new GptRunOptions { Output = folder["plain"] });
        var often = TinyRun.Train(
            codes, new GptRunOptions
            {
                Output = folder["often"], CheckpointEvery = 2, KeepLast = 2, ValidateEvery = 3, SampleEvery = 5, OnSample = (_, _) => { },
            });
        Assert.Equal(TinyRun.Weights(plain.Checkpoint!), TinyRun.Weights(often.Checkpoint!));
        Assert.Equal(["step-00000010", "step-00000012"], new CheckpointFolder(folder["often"]).All());
        Assert.Equal(["SHA256SUMS", "config.json", "ema.safetensors", "model.safetensors", "optimizer.safetensors", "state.json"],
            Directory.GetFiles(often.Checkpoint!).Select(Path.GetFileName).Order(StringComparer.Ordinal));
    }

    [Fact]
    public void Micro_batches_change_rounding_only()
    {
        using var folder = new TemporaryFolder();
        var codes = TinyRun.WriteCodes(folder["codes"]);
        var model = TinyRun.Model with { TokenDropout = 0, ResidualDropout = 0, FfnDropout = 0, AttentionDropout = 0 };
        var whole = TinyRun.Train(codes, new GptRunOptions { Output = folder["a"] }, TinyRun.Config(model: model));
        var parts = TinyRun.Train(codes, new GptRunOptions { Output = folder["b"] }, TinyRun.Config(TinyRun.Training with { MicroBatch = 1 }, model));
        Assert.Equal(whole.ValidationLoss!.Value, parts.ValidationLoss!.Value, 1e-3);
    }

    [Fact]
    public void Training_learns_and_each_stage_is_reported()
    {
        using var folder = new TemporaryFolder();
        var lines = new List<TrainingProgress>();
        var result = TinyRun.Train(
            TinyRun.WriteCodes(folder["codes"]), new GptRunOptions
            {
                Output = folder["run"], LogEvery = 1, OnProgress = lines.Add, ValidateEvery = 10,
            },
            TinyRun.Config(TinyRun.Training with { Steps = 80 }));
        Assert.True(result.ValidationLoss < 1.2, $"held-out loss {result.ValidationLoss}, log(12) = 2.48 at the start");
        Assert.NotNull(result.AverageValidationLoss);
        Assert.Equal([2, 1], lines.Select(l => l.Stage.PatchSide).Distinct());
        Assert.Equal([240L, 240L], result.StageImages);
        Assert.Equal(80, File.ReadAllLines(Path.Combine(folder["run"], "metrics.jsonl")).Length);
        Assert.NotEmpty(Directory.GetFiles(Path.Combine(folder["run"], "tensorboard")));
        Assert.Equal(7, lines.Count(l => l.ValidationLoss is not null));
    }

    [Fact]
    public void A_loss_that_is_not_a_number_stops_with_a_dump_and_keeps_the_last_good_checkpoint()
    {
        using var folder = new TemporaryFolder();
        var codes = TinyRun.WriteCodes(folder["codes"]);
        var config = TinyRun.Config(TinyRun.Training with { Steps = 400, LearningRate = 1e30, ClipNorm = 0, WarmupShare = 0 });
        var error = Assert.Throws<NextPatchException>(
            () => TinyRun.Train(codes, new GptRunOptions { Output = folder["run"], CheckpointEvery = 1 }, config));
        Assert.Contains("nan-step-", error.Message, StringComparison.Ordinal);
        Assert.Contains("step-0000000", error.Message, StringComparison.Ordinal);
        var dump = Directory.GetDirectories(folder["run"], "nan-step-*").Single();
        Assert.Equal([6L, 16L], NpyFile.Read(Path.Combine(dump, "codes.npy")).Shape);
        Assert.True(File.Exists(Path.Combine(dump, "step.json")));
        Assert.NotNull(new CheckpointFolder(folder["run"]).Latest);
    }

    [Fact]
    public void Memory_does_not_grow_over_two_thousand_steps()
    {
        using var folder = new TemporaryFolder();
        var live = new List<(long Tensors, long Bytes)>();
        TinyRun.Train(TinyRun.WriteCodes(folder["codes"]), new GptRunOptions
        {
            Output = folder["run"],
            LogEvery = 250,
            CheckpointEvery = 500,
            OnProgress = _ =>
            {
                GC.Collect();
                live.Add((DisposeScopeManager.Statistics.ThreadTotalLiveCount, Environment.WorkingSet));
            },
        }, TinyRun.Config(TinyRun.Training with { Steps = 2000, StageRate = 0.25 }));

        // Lines come at steps 1, 250, 500 and so on: from step 1000 on, past the stage switch at 500, caches are warm.
        var settled = live.Skip(4).ToList();
        Assert.Single(settled.Select(l => l.Tensors).Distinct());
        Assert.True(settled[^1].Bytes - settled[0].Bytes < 16 << 20,
            $"working set grew from {settled[0].Bytes >> 20} to {settled[^1].Bytes >> 20} MiB");
    }

    [Fact]
    public void A_folder_with_a_run_is_not_overwritten()
    {
        using var folder = new TemporaryFolder();
        var codes = TinyRun.WriteCodes(folder["codes"]);
        TinyRun.Train(codes, new GptRunOptions { Output = folder["run"] });
        Assert.Contains(
            "Resume", Assert.Throws<ConfigException>(() => TinyRun.Train(codes, new GptRunOptions { Output = folder["run"] })).Message,
            StringComparison.Ordinal);
    }

    [Fact]
    public void Resuming_with_other_settings_lists_the_differences()
    {
        using var folder = new TemporaryFolder();
        var codes = TinyRun.WriteCodes(folder["codes"]);
        TinyRun.Train(codes, new GptRunOptions { Output = folder["run"] });
        var error = Assert.Throws<ConfigException>(
            () => TinyRun.Train(
            codes, new GptRunOptions
            {
                Output = folder["run"], Resume = true,
            }, TinyRun.Config(TinyRun.Training with { LearningRate = 5, Seed = 6 })));
        Assert.Contains("training.learningRate: 0.01 in the checkpoint, 5 now", error.Message, StringComparison.Ordinal);
        Assert.Contains("training.seed: 5 in the checkpoint, 6 now", error.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void Codes_that_do_not_fit_the_model_are_refused_before_training()
    {
        using var folder = new TemporaryFolder();
        var codes = TinyRun.WriteCodes(folder["codes"], vocabulary: 13);
        var error = Assert.Throws<ConfigException>(() => TinyRun.Train(codes, new GptRunOptions { Output = folder["run"] }));
        Assert.Contains("vocabulary of 13", error.Message, StringComparison.Ordinal);
        Assert.Contains(
            "grid", Assert.Throws<ConfigException>(
            () => TinyRun.Train(
            codes, new GptRunOptions
            {
                Output = folder["run"],
            }, TinyRun.Config(TinyRun.Training with { PatchSides = [3, 1] }))).Message, StringComparison.Ordinal);
    }

    [Fact]
    public void An_unwritable_folder_is_named()
    {
        using var folder = new TemporaryFolder();
        var codes = TinyRun.WriteCodes(folder["codes"]);
        File.WriteAllText(folder["file"], "");
        Assert.Contains(
            "cannot be written", Assert.Throws<NextPatchException>(
            () => TinyRun.Train(codes, new GptRunOptions { Output = Path.Combine(folder["file"], "run") })).Message, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("model.safetensors")]
    [InlineData("optimizer.safetensors")]
    [InlineData("state.json")]
    [InlineData("config.json")]
    public void A_damaged_checkpoint_is_named_and_left_alone(string file)
    {
        using var folder = new TemporaryFolder();
        var codes = TinyRun.WriteCodes(folder["codes"]);
        var path = Path.Combine(TinyRun.Train(codes, new GptRunOptions { Output = folder["run"] }).Checkpoint!, file);
        var bytes = File.ReadAllBytes(path);
        File.WriteAllBytes(path, bytes[..(bytes.Length / 2)]);
        Assert.Contains(
            file, Assert.Throws<DataFormatException>(() => TinyRun.Train(codes, new GptRunOptions { Output = folder["run"], Resume = true })).Message,
            StringComparison.Ordinal);
        Assert.Equal(bytes.Length / 2, new FileInfo(path).Length);
    }

    [Fact]
    public void A_foreign_checkpoint_is_refused_by_its_shapes()
    {
        using var folder = new TemporaryFolder();
        var codes = TinyRun.WriteCodes(folder["codes"]);
        var own = TinyRun.Train(codes, new GptRunOptions { Output = folder["run"] }).Checkpoint!;
        var foreign = TinyRun.Train(
            codes, new GptRunOptions { Output = folder["other"] }, TinyRun.Config(model: TinyRun.Model with { Width = 32 })).Checkpoint!;
        File.Copy(Path.Combine(foreign, "model.safetensors"), Path.Combine(own, "model.safetensors"), overwrite: true);
        File.Delete(Path.Combine(own, "SHA256SUMS")); // a person meant it
        Assert.Contains(
            "do not fit the model", Assert.Throws<NextPatchException>(
            () => TinyRun.Train(codes, new GptRunOptions { Output = folder["run"], Resume = true })).Message, StringComparison.Ordinal);
    }

    [Fact]
    public void Weights_start_a_run_with_other_classes()
    {
        using var folder = new TemporaryFolder();
        var source = TinyRun.Train(TinyRun.WriteCodes(folder["codes"]), new GptRunOptions { Output = folder["run"] }).Checkpoint!;
        var expected = SafetensorsFile.Read(Path.Combine(source, "ema.safetensors"));
        using var model = new NextPatch.Torch.Gpt.GptModel(TinyRun.Model with { ClassCount = 7 });
        Assert.Contains("classes start anew", InitialWeights.Load(folder["run"], model, 1), StringComparison.Ordinal);
        var loaded = StateLoader.Capture(model).ToDictionary();
        Assert.Equal(expected["layers.1.attention.wo.weight"].ToSingles(), loaded["layers.1.attention.wo.weight"].ToSingles());
        Assert.Equal(
            expected["cls_embedding.embedding_table.weight"].ToSingles()[^16..], loaded["cls_embedding.embedding_table.weight"].ToSingles()[^16..]);
        Assert.Equal([8L, 16L], loaded["cls_embedding.embedding_table.weight"].Shape);
    }

    [Fact]
    public void Damaged_weights_start_no_run()
    {
        using var folder = new TemporaryFolder();
        var average = Path.Combine(
            TinyRun.Train(TinyRun.WriteCodes(folder["codes"]), new GptRunOptions { Output = folder["run"] }).Checkpoint!, "ema.safetensors");
        var bytes = File.ReadAllBytes(average);
        bytes[^1] ^= 1;
        File.WriteAllBytes(average, bytes);
        using var model = new NextPatch.Torch.Gpt.GptModel(TinyRun.Model);
        Assert.Contains(
            "ema.safetensors' does not have the SHA-256",
            Assert.Throws<DataFormatException>(() => InitialWeights.Load(folder["run"], model, 1)).Message, StringComparison.Ordinal);
    }
}
