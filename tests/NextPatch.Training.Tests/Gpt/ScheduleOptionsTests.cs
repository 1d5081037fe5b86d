using System.Text.Json.Nodes;
using NextPatch.Core;
using NextPatch.Core.Configuration;
using NextPatch.Core.Patches;
using NextPatch.Training.Gpt;

namespace NextPatch.Training.Tests.Gpt;

/// <summary>What coarse stages may do that the publication does not.</summary>
[NoTensorLeaks]
public sealed class ScheduleOptionsTests
{
    private static readonly TrainingConfig Long = TinyRun.Training with { Steps = 24, PatchLevel = 3, MicroBatch = 4 };

    public static IReadOnlyDictionary<string, TrainingConfig> Variants { get; } = new Dictionary<string, TrainingConfig>
    {
        ["wsd"] = Long with { LearningRateCourse = LearningRateCourse.Wsd },
        ["flops"] = Long with { CoarseBatch = CoarseBatch.Flops },
        ["reset"] = Long with { ResetsMoments = true },
        ["mixed"] = Long with { CoarseShare = 0.34 },
        ["centre"] = Long with { PatchPosition = PatchPosition.Centre },
        ["plateau"] = Long with { LearningRateCourse = LearningRateCourse.Wsd, PlateauShare = 0.9 },
        ["all"] = Long with
        {
            LearningRateCourse = LearningRateCourse.Wsd,
            CoarseBatch = CoarseBatch.Flops,
            ResetsMoments = true,
            CoarseShare = 0.34,
            PatchPosition = PatchPosition.Centre,
            PlateauShare = 0.9,
            Grouping = "sum",
            TargetPower = 0.5,
        },
    };

    public static TheoryData<string> Names => [.. Variants.Keys];

    /// <summary>Stopped before, at and after switches; a plateau ends stages where the whole run found it.</summary>
    [Theory]
    [MemberData(nameof(Names))]
    public void A_resumed_run_ends_with_the_same_bytes(string name)
    {
        using var folder = new TemporaryFolder();
        var codes = TinyRun.WriteCodes(folder["codes"]);
        var config = TinyRun.Config(Variants[name]);
        var whole = TinyRun.Train(codes, new GptRunOptions { Output = folder["whole"] }, config);
        foreach (var stopAfter in (long[])[2, 6, 9, 12, 15])
        {
            using var stop = new CancellationTokenSource();
            var options = new GptRunOptions
            {
                Output = folder["parts"], Resume = true, LogEvery = 1, OnProgress = p => (p.Step == stopAfter ? stop : null)?.Cancel(),
            };
            Assert.Equal(stopAfter, TinyRun.Train(codes, options, config, stop.Token).Step);
        }

        var last = TinyRun.Train(codes, new GptRunOptions { Output = folder["parts"], Resume = true }, config);
        foreach (var file in (string[])["model", "ema", "optimizer"])
        {
            Assert.Equal(TinyRun.Weights(whole.Checkpoint!, file), TinyRun.Weights(last.Checkpoint!, file));
        }

        Assert.Equal(whole.StageImages, last.StageImages);
    }

    [Theory]
    [MemberData(nameof(Names))]
    public void Fused_and_reference_step_learn_the_same(string name)
    {
        using var folder = new TemporaryFolder();
        var codes = TinyRun.WriteCodes(folder["codes"]);
        List<double> Losses(StepImplementation step)
        {
            var losses = new List<double>();
            TinyRun.Train(
                codes, new GptRunOptions { Output = folder[step.ToString()], LogEvery = 1, OnProgress = p => losses.Add(p.Loss) },
                TinyRun.Config(Variants[name] with { StepImplementation = step }));
            return losses;
        }

        var (fused, reference) = (Losses(StepImplementation.Fused), Losses(StepImplementation.Reference));
        Assert.Equal(24, fused.Count);
        Assert.All(fused.Zip(reference), pair => Assert.Equal(pair.First, pair.Second, 2e-5));
    }

    [Fact]
    public void Each_changes_what_is_learned()
    {
        using var folder = new TemporaryFolder();
        var codes = TinyRun.WriteCodes(folder["codes"]);
        var weights = Variants.Append(KeyValuePair.Create("published", Long)).Select(v => Convert.ToHexString(TinyRun.Weights(
            TinyRun.Train(codes, new GptRunOptions { Output = folder[v.Key] }, TinyRun.Config(v.Value)).Checkpoint!))).ToList();
        Assert.Equal(weights.Count, weights.Distinct().Count());
    }

    [Fact]
    public void Moments_begin_anew_with_the_first_step_of_a_stage()
    {
        using var folder = new TemporaryFolder();
        using var stop = new CancellationTokenSource();
        var options = new GptRunOptions { Output = folder["run"], LogEvery = 1, OnProgress = p => (p.Step == 7 ? stop : null)?.Cancel() };
        var result = TinyRun.Train(TinyRun.WriteCodes(folder["codes"]), options, TinyRun.Config(Variants["reset"]), stop.Token);
        var state = JsonNode.Parse(File.ReadAllText(Path.Combine(result.Checkpoint!, "state.json")))!;
        Assert.Equal((7, 6), ((int)state["step"]!, (int)state["stepsBeforeMoments"]!)); // stages of 6, 6 and 12 steps
    }

    [Fact]
    public void Coarse_steps_of_equal_flops_go_on_in_the_stream_where_the_last_one_ended()
    {
        using var folder = new TemporaryFolder();
        var lines = new List<TrainingProgress>();
        var result = TinyRun.Train(
            TinyRun.WriteCodes(folder["codes"]), new GptRunOptions { Output = folder["run"], LogEvery = 1, OnProgress = lines.Add },
            TinyRun.Config(Variants["flops"]));

        // 6 images a step at p = 1, 24 at p = 2, 96 at p = 4; stages of 6, 6 and 12 steps.
        Assert.Equal([96L * 6, 24 * 6, 6 * 12], result.StageImages);
        Assert.Equal([96, 192], lines.Take(2).Select(l => l.Images));
        Assert.Equal(result.StageImages.Sum(), lines[^1].Images);
        Assert.Equal(result.StageImages.Sum(), result.Outcome!.Images);
    }

    /// <summary>Until the switch it is a run of four times the batch: the same images in the same steps.</summary>
    [Fact]
    public void A_coarse_step_of_equal_flops_is_a_step_of_more_images()
    {
        using var folder = new TemporaryFolder();
        var codes = TinyRun.WriteCodes(folder["codes"]);
        List<double> Losses(int batch, CoarseBatch coarse)
        {
            var losses = new List<double>();
            var training = Variants["wsd"] with
            {
                BatchSize = batch,
                CoarseBatch = coarse,
                MicroBatch = 0,
                Stages = StageLength.ParseList("2:12,1:12"),
            };
            TinyRun.Train(
                codes, new GptRunOptions { Output = folder[$"run-{batch}"], LogEvery = 1, OnProgress = p => losses.Add(p.Loss) },
                TinyRun.Config(training));
            return losses;
        }

        var (flops, images) = (Losses(6, CoarseBatch.Flops), Losses(24, CoarseBatch.Images));
        Assert.Equal(images.Take(12), flops.Take(12));
        Assert.NotEqual(images[12], flops[12]);
    }

    [Fact]
    public void A_plateau_ends_coarse_stages_early_and_their_steps_go_to_the_next()
    {
        using var folder = new TemporaryFolder();
        var (lines, notes) = (new List<TrainingProgress>(), new List<string>());
        var config = TinyRun.Config(Variants["plateau"] with { Stages = StageLength.ParseList("2:20,1:4") });
        var result = TinyRun.Train(
            TinyRun.WriteCodes(folder["codes"]),
            new GptRunOptions { Output = folder["run"], LogEvery = 1, OnProgress = lines.Add, OnNote = notes.Add }, config);

        var switched = lines.FindIndex(l => l.Stage.PatchSide == 1);
        Assert.InRange(switched, 3, 19);
        Assert.Equal(24, lines.Count);
        Assert.Equal([switched * 6L, (24 - switched) * 6L], result.StageImages);
        Assert.Contains(notes, n => n.Contains("plateau", StringComparison.Ordinal));
    }

    [Fact]
    public void A_stage_ends_where_its_loss_falls_by_less_than_a_share_of_the_most_that_it_fell()
    {
        var plateau = new PlateauSwitch(0.5, null);
        var schedule = PatchSchedule.Create(30, 10, [4, 2, 1], 0.5);
        (double Flops, double Loss)[] looks = [(1, 10), (2, 8), (4, 5.6), (5, 4.7)]; // slopes 2, 1.2 and 0.9
        Assert.Equal([false, false, false, true], looks.Select((look, i) => plateau.EndsStage(schedule, i + 1, look.Flops, look.Loss)));
        Assert.Equal([4L], plateau.State.Ends);
        Assert.Equal(4, plateau.Apply(schedule).Stages[0].End);
    }

    [Fact]
    public void Losses_of_another_stage_and_those_that_are_no_number_say_nothing_of_a_plateau()
    {
        var plateau = new PlateauSwitch(0.5, null);
        var schedule = PatchSchedule.Create(30, StageLength.ParseList("4:10,2:10,1:10"));
        (long Step, double Loss)[] looks =
        [
            (2, 5), (4, 3), (6, 2), // slopes 1 and 0.5
            (11, 4), // single codes are harder than patches: not a loss that rises
            (13, double.NaN), (15, 3), (17, 2.1), // slopes 0.25 and 0.45
        ];
        Assert.All(looks, look => Assert.False(plateau.EndsStage(schedule, look.Step, look.Step, look.Loss)));
        Assert.Equal((1, 2.1), (plateau.State.Stage, plateau.State.Loss));
        Assert.True(plateau.EndsStage(schedule, 19, 19, 2));
        Assert.Equal([10L, 19], plateau.State.Ends);
    }

    [Theory]
    [InlineData(4, 0.9)]
    [InlineData(1, 0.6)]
    [InlineData(32, 0.99)]
    public void A_share_of_coarse_patches_that_leaves_no_image_for_single_codes_is_refused(int batch, double share)
    {
        var training = TinyRun.Training with { BatchSize = batch, CoarseShare = share };
        var error = Assert.Throws<ConfigException>(() => training.Validated(TinyRun.Model));
        Assert.Contains("rounds to the whole batch", error.Message, StringComparison.Ordinal);
        Assert.Same(training = training with { PatchLevel = 1 }, training.Validated(TinyRun.Model)); // there is no stage before
    }

    [Fact]
    public void A_micro_batch_of_no_image_is_refused()
    {
        var training = TinyRun.Training with { MicroBatchBySide = new Dictionary<int, int> { [1] = 0 } };
        Assert.Contains(
            "microBatchBySide must be at least 1", Assert.Throws<ConfigException>(() => training.Validated(TinyRun.Model)).Message,
            StringComparison.Ordinal);
    }

    [Fact]
    public void A_plateau_without_one_rate_over_the_run_is_refused()
    {
        var error = Assert.Throws<ConfigException>(() => (TinyRun.Training with { PlateauShare = 0.1 }).Validated(TinyRun.Model));
        Assert.Contains("learningRateCourse wsd", error.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void Marks_are_measured_once_each_and_change_nothing()
    {
        using var folder = new TemporaryFolder();
        var codes = TinyRun.WriteCodes(folder["codes"]);
        var marks = new List<RunMark>();
        var plain = TinyRun.Train(codes, new GptRunOptions { Output = folder["plain"] });

        using var stop = new CancellationTokenSource();
        var options = new GptRunOptions
        {
            Output = folder["run"], Resume = true, LogEvery = 1, Marks = new HashSet<long> { 4, 12 }, OnMark = marks.Add,
            OnProgress = p => (p.Step == 4 ? stop : null)?.Cancel(), // before the measurement of its step
        };
        TinyRun.Train(codes, options, null, stop.Token);
        Assert.Empty(marks);
        var last = TinyRun.Train(codes, options with { OnProgress = null });

        Assert.Equal([4, 12], marks.Select(m => m.Step));
        Assert.Equal([24, 72], marks.Select(m => m.Images));
        Assert.Equal(last.Outcome!.PlannedFlops, marks[1].Flops, 1.0);
        Assert.Equal(last.ValidationLoss, marks[1].Loss);
        Assert.Equal(last.AverageValidationLoss, marks[1].EmaLoss);
        Assert.True(marks[1].CpuSeconds > marks[0].CpuSeconds && marks[0].CpuSeconds > 0);
        Assert.Equal(TinyRun.Weights(plain.Checkpoint!), TinyRun.Weights(last.Checkpoint!));
    }
}
