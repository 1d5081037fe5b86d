using System.Text.Json.Nodes;
using NextPatch.Core;
using NextPatch.Core.Checkpoints;
using NextPatch.Core.Checkpoints.Numpy;
using NextPatch.Core.Checkpoints.Safetensors;
using NextPatch.Core.Configuration;
using NextPatch.Core.Tensors;
using NextPatch.Kernels.Gemm;
using NextPatch.Torch.Adversarial;
using NextPatch.Torch.Tokenizer;
using NextPatch.Training.Tokenizer;
using TorchSharp;
using static TorchSharp.torch;

namespace NextPatch.Training.Tests.Tokenizer;

[NoTensorLeaks]
public sealed partial class TokenizerRunTests
{
    public static TheoryData<string, long> Interruptions { get; } = new()
    {
        { "plain", 2 }, { "plain", 4 }, { "plain", 11 }, { "without average", 7 }, { "perception and perturbation", 13 }, { "discriminator", 5 },
        { "bf16", 7 }, { "bf16 discriminator", 5 },
    };

    /// <summary>Stopped before the codebook starts, right when it does, between two revivals, before and after the discriminator begins.</summary>
    [Theory]
    [MemberData(nameof(Interruptions))]
    public void A_resumed_run_ends_with_the_bytes_of_an_uninterrupted_one(string kind, long stopAfter)
    {
        Assert.SkipUnless(
            kind != "bf16 discriminator" || Bf16GemmTiles.HasInstructions, "takes five minutes on a processor without bf16 instructions");
        using var folder = new TemporaryFolder();
        var path = TinyTokenizerRun.WriteImages(folder["data"]);
        using var perception = kind.StartsWith("perception", StringComparison.Ordinal) ? new TinyTokenizerRun.Perception() : null;
        TokenizerRunResult Train(string name, long until) => TinyTokenizerRun
            .Train(path, new TokenizerRunOptions { Output = folder[name], Resume = true, ValidateEvery = 9 }, c => Changed(c, kind), perception,
            until);
        var whole = Train("whole", long.MaxValue);
        var stopped = Train("parts", stopAfter);
        Assert.Equal((false, stopAfter), (stopped.IsComplete, stopped.Step));
        var resumed = Train("parts", long.MaxValue);

        Assert.True(resumed.IsComplete);
        Assert.Equal(TinyTokenizerRun.Contents(whole.Checkpoint!), TinyTokenizerRun.Contents(resumed.Checkpoint!));
        Assert.Equal(
            File.ReadAllBytes(Path.Combine(folder["whole"], "model.safetensors")),
            File.ReadAllBytes(Path.Combine(folder["parts"], "model.safetensors")));
        Assert.Equal(whole.HeldOut, resumed.HeldOut);
        Assert.Equal(Lines(folder["whole"]), Lines(folder["parts"]));
    }

    /// <summary>The updates that other devices need, on the processor: the same losses, revived codes among them.</summary>
    [Theory]
    [InlineData(DiscriminatorKind.None)]
    [InlineData(DiscriminatorKind.PatchGan)]
    public void Flat_updates_train_the_same_tokenizer(DiscriminatorKind kind)
    {
        List<double> Losses(bool isFlat)
        {
            using var scope = NewDisposeScope(); // TorchSharp's convolutions leave a tensor behind each when they are made
            using var tokenizer = new VqTokenizer(TinyTokenizerRun.Tokenizer with { ImageSide = 32 }, seed: 4);
            manual_seed(1);
            using var discriminator = kind == DiscriminatorKind.PatchGan ? new PatchDiscriminator() : null;
            var objective = new VqganTrainingConfig { LearningRate = 1e-3, DiscriminatorStart = 4, WarmsDiscriminator = false };
            using var step = new TokenizerStep(tokenizer, objective, discriminator, isFlat: isFlat);
            manual_seed(2);
            var images = rand(4, 3, 32, 32) * 2 - 1;
            return [.. Enumerable.Range(0, 12).Select(n =>
            {
                var result = step.Run(images, n, 1e-3);
                if (n == 6)
                {
                    tokenizer.ReplaceCodes([1, 3], result.Latents!.permute(0, 2, 3, 1).reshape(-1, 4).narrow(0, 0, 2));
                    step.Optimizer.RestartRows("quantize.embedding.weight", [1, 3]);
                }

                return result.Loss;
            })];
        }

        var (managed, flat) = (Losses(isFlat: false), Losses(isFlat: true));
        Assert.Equal(managed, flat, (a, b) => Math.Abs(a - b) <= 1e-4 * Math.Abs(a));
        Assert.True(managed[3] < managed[0], "nothing was learnt, so nothing was compared"); // the discriminator comes in after that
    }

    [Fact]
    public void The_runs_folder_is_a_tokenizer_with_the_average()
    {
        using var folder = new TemporaryFolder();
        var result = TinyTokenizerRun.Train(TinyTokenizerRun.WriteImages(folder["data"]), new TokenizerRunOptions { Output = folder["run"] });
        using var tokenizer = VqTokenizer.Load(folder["run"]);
        Assert.Equal(TinyTokenizerRun.Tokenizer.CodebookSize, tokenizer.Config.CodebookSize);
        var exported = SafetensorsFile.Read(Path.Combine(folder["run"], "model.safetensors"));
        var average = SafetensorsFile.Read(Path.Combine(result.Checkpoint!, "ema.safetensors"));
        Assert.All(average, p => Assert.Equal(p.Value.ToSingles(), exported[p.Key].ToSingles()));
        Assert.True(Directory.GetFiles(folder["run"], ".*").All(f => Path.GetFileName(f).StartsWith(".lock", StringComparison.Ordinal)));
    }

    [Fact]
    public void Training_learns_and_says_what_it_does()
    {
        using var folder = new TemporaryFolder();
        var lines = new List<TokenizerRunProgress>();
        var grids = new List<(long Step, int Originals, int Reconstructions)>();
        var result = TinyTokenizerRun.Train(TinyTokenizerRun.WriteImages(folder["data"]), new TokenizerRunOptions
        {
            Output = folder["run"], ValidateEvery = 60, GridEvery = 100, OnProgress = lines.Add,
            OnGrid = (step, a, b) => grids.Add((step, a.Length, b.Length)),
        }, c => c with { Steps = 120, ContinuousSteps = 20 });
        Assert.True(result.HeldOut!.Psnr > lines[0].Psnr + 6, $"from {lines[0].Psnr} dB in training to {result.HeldOut.Psnr} dB held out");
        Assert.InRange(result.HeldOut.CodebookUsage, 0.5, 1);
        Assert.All(lines.Take(20), l => Assert.Null(l.CodebookUsage));
        Assert.All(lines.Skip(20), l => Assert.NotNull(l.CodebookUsage));
        Assert.Equal([60L], lines.Where(l => l.HeldOut is not null).Select(l => l.Step));
        var last = JsonNode.Parse(File.ReadLines(Path.Combine(folder["run"], "metrics.jsonl")).Last())!;
        Assert.Equal((120, result.HeldOut.Psnr), ((int)last["step"]!, (double)last["heldOut"]!["psnr"]!));
        Assert.NotNull(last["loss"]);
        Assert.Equal([(100L, 10 * 16 * 16 * 3, 10 * 16 * 16 * 3), (120L, 10 * 16 * 16 * 3, 10 * 16 * 16 * 3)], grids);
    }

    [Fact]
    public void In_bf16_it_learns_as_in_fp32_and_keeps_float32_weights()
    {
        using var folder = new TemporaryFolder();
        var path = TinyTokenizerRun.WriteImages(folder["data"]);
        TokenizerRunResult Train(ComputePrecision precision) => TinyTokenizerRun
            .Train(path, new TokenizerRunOptions { Output = folder[$"{precision}"] },
            c => c with { Steps = 120, ContinuousSteps = 20, Precision = precision });
        var (wide, narrow) = (Train(ComputePrecision.Fp32), Train(ComputePrecision.Bf16));
        Assert.Equal(wide.HeldOut!.Psnr, narrow.HeldOut!.Psnr, 0.5);
        Assert.NotEqual(
            TinyTokenizerRun.Contents(wide.Checkpoint!)["model.safetensors"], TinyTokenizerRun.Contents(narrow.Checkpoint!)["model.safetensors"]);
        foreach (var file in Directory.GetFiles(narrow.Checkpoint!, "*.safetensors"))
        {
            Assert.DoesNotContain(SafetensorsFile.Read(file).Values, t => t.Type == ElementType.BFloat16);

            // Not rounded to bfloat16 either: its lower 16 bits are in use.
            Assert.Contains(
                SafetensorsFile.Read(file).Values,
                t => t.Type == ElementType.Float32 && t.ToSingles().Any(v => (BitConverter.SingleToInt32Bits(v) & 0xffff) != 0));
        }
    }

    [Theory]
    [InlineData(null, torch.ScalarType.Float32)]
    [InlineData(torch.ScalarType.BFloat16, torch.ScalarType.BFloat16)]
    public void Discriminator_and_perceptual_network_compute_in_the_type_of_the_tokenizer(torch.ScalarType? type, torch.ScalarType expected)
    {
        using var scope = torch.NewDisposeScope();
        using var tokenizer = new VqTokenizer(TinyTokenizerRun.Tokenizer, seed: 1) { ComputeType = type };
        using var discriminator = new TypeDiscriminator();
        using var perception = new TinyTokenizerRun.Perception();
        var step = new TokenizerStep(tokenizer, new VqganTrainingConfig { DiscriminatorStart = 1, IsAdaptive = true }, discriminator, perception);
        var result = step.Run((torch.rand(2, 3, 16, 16) * 2) - 1, 0, 1e-3);
        Assert.True(result.IsTaken);
        Assert.Equal([expected, expected, expected], discriminator.Seen); // once for the generator, on real images, on reconstructions
        Assert.Equal(type, perception.ComputeType);
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public void A_step_that_is_not_finite_changes_nothing_and_is_counted(bool hasDiscriminator)
    {
        using var folder = new TemporaryFolder();
        var notes = new List<string>();
        var calls = 0;
        using var perception = new TinyTokenizerRun.Perception(d => ++calls == 9 ? d * double.NaN : d);
        var result = TinyTokenizerRun.Train(
            TinyTokenizerRun.WriteImages(folder["data"]), new TokenizerRunOptions { Output = folder["run"], CheckpointEvery = 8, OnNote = notes.Add },
            c => (hasDiscriminator ? Changed(c, "discriminator") : c) with { Steps = 9, DecayShare = 0 }, perception);

        Assert.Equal((9, 1), (result.Step, result.SkippedSteps));
        var (before, after) =
            (TinyTokenizerRun.Contents(Path.Combine(folder["run"], "step-00000008")),
            TinyTokenizerRun.Contents(Path.Combine(folder["run"], "step-00000009")));
        foreach (var file in before.Keys.Where(
            f => f is "model.safetensors" or "ema.safetensors" or "optimizer.safetensors" or "discriminator-optimizer.safetensors"))
        {
            Assert.Equal(before[file], after[file]);
        }

        Assert.Contains(notes, n => n.StartsWith("The loss of step 8 is NaN", StringComparison.Ordinal));
        Assert.Equal([4L, 16L, 16L, 3L], NpyFile.Read(Path.Combine(folder["run"], "nan-step-00000008", "images.npy")).Shape);
        Assert.StartsWith(
            """{"step":9,"skipped":true,"skippedSteps":1,"heldOut":{""", File.ReadAllLines(Path.Combine(folder["run"], "metrics.jsonl"))[^1],
            StringComparison.Ordinal);
    }

    [Fact]
    public void Too_many_of_them_in_a_row_end_the_run_and_the_last_good_checkpoint_stays()
    {
        using var folder = new TemporaryFolder();
        var calls = 0;
        using var perception = new TinyTokenizerRun.Perception(d => ++calls > 6 ? d * double.NaN : d);
        var error = Assert.Throws<NextPatchException>(() => TinyTokenizerRun.Train(
            TinyTokenizerRun.WriteImages(folder["data"]), new TokenizerRunOptions
            {
                Output = folder["run"], CheckpointEvery = 1, StopAfterSkips = 3,
            }, perception: perception));
        Assert.Contains("3 in a row were not finite", error.Message, StringComparison.Ordinal);
        Assert.EndsWith("step-00000006", new CheckpointFolder(folder["run"]).Latest, StringComparison.Ordinal);
    }

    [Fact]
    public void Perturbation_of_no_image_is_none_and_of_all_is_another_run()
    {
        using var folder = new TemporaryFolder();
        var path = TinyTokenizerRun.WriteImages(folder["data"]);
        string Weights(string name, LatentPerturbationConfig? perturbation)
            => TinyTokenizerRun.Contents(
                TinyTokenizerRun.Train(
                path, new TokenizerRunOptions
                {
                    Output = folder[name],
                }, c => c with { Perturbation = perturbation }).Checkpoint!)["model.safetensors"];
        var off = Weights("off", null);
        Assert.Equal(off, Weights("none", new LatentPerturbationConfig { ImageShare = 0, Neighbours = 4 }));
        Assert.NotEqual(off, Weights("all", new LatentPerturbationConfig { ImageShare = 1, Neighbours = 4 }));
    }

    [Fact]
    public void A_codebook_that_falls_out_of_use_raises_the_alarm_once()
    {
        using var folder = new TemporaryFolder();
        var notes = new List<string>();
        var lines = new List<TokenizerRunProgress>();

        // Random codes far from the latents, and no help for them.
        TinyTokenizerRun.Train(
            TinyTokenizerRun.WriteImages(folder["data"]), new TokenizerRunOptions
            {
                Output = folder["run"], OnNote = notes.Add, OnProgress = lines.Add, UsageAlarm = 1,
            },
            c => c with { ContinuousSteps = 0, RevivalInterval = 0, BatchSize = 16, Tokenizer = c.Tokenizer with { CodebookSize = 32 } });
        Assert.True(lines[^1].CodebookUsage < 1);
        Assert.Single(notes, n => n.Contains("of the codebook is in use", StringComparison.Ordinal));
    }

    [Fact]
    public void Dead_codes_are_revived_until_the_decay_begins()
    {
        using var folder = new TemporaryFolder();
        var lines = new List<TokenizerRunProgress>();
        TinyTokenizerRun.Train(
            TinyTokenizerRun.WriteImages(folder["data"]), new TokenizerRunOptions { Output = folder["run"], OnProgress = lines.Add },
            c => c with { ContinuousSteps = 0, BatchSize = 16, Steps = 60, Tokenizer = c.Tokenizer with { CodebookSize = 64 } });
        Assert.True(lines.Sum(l => l.Revived) > 20, $"{lines.Sum(l => l.Revived)} revived");
        Assert.All(lines.Where(l => l.Step % 3 != 0 || l.Step > 48), l => Assert.Equal(0, l.Revived));
        Assert.True(lines[^1].CodebookUsage > lines[0].CodebookUsage + 0.2, $"usage went from {lines[0].CodebookUsage} to {lines[^1].CodebookUsage}");
    }
}
