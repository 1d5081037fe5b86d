using NextPatch.Core;
using NextPatch.Core.Configuration;
using NextPatch.Training.Tokenizer;

namespace NextPatch.Training.Tests.Tokenizer;

/// <summary>Settings of a tokenizer's training: what is refused, what a resumed run compares, what follows from them.</summary>
[NoTensorLeaks]
public sealed class TokenizerRunConfigTests
{
    [Fact]
    public void Resuming_with_other_settings_or_images_says_what_differs()
    {
        using var folder = new TemporaryFolder();
        var path = TinyTokenizerRun.WriteImages(folder["data"]);
        TinyTokenizerRun.Train(path, new TokenizerRunOptions { Output = folder["run"] }, stopAfter: 3);
        Assert.Contains(
            "Resume", Assert.Throws<ConfigException>(() => TinyTokenizerRun.Train(path, new TokenizerRunOptions { Output = folder["run"] })).Message,
            StringComparison.Ordinal);
        var error = Assert.Throws<ConfigException>(
            () => TinyTokenizerRun.Train(path, new TokenizerRunOptions { Output = folder["run"], Resume = true },
            c => c with
            {
                BatchSize = 5,
                Precision = ComputePrecision.Bf16,
                Data = c.Data with
                {
                    TrainingCount = 7,
                },
                Tokenizer = c.Tokenizer with { CodebookSize = 8 },
            }));
        Assert.Contains("batchSize: 4 in the checkpoint, 5 now", error.Message, StringComparison.Ordinal);
        Assert.Contains("""precision: "Fp32" in the checkpoint, "Bf16" now""", error.Message, StringComparison.Ordinal);
        Assert.Contains("data.trainingCount: 30 in the checkpoint, 7 now", error.Message, StringComparison.Ordinal);
        Assert.Contains("tokenizer.codebookSize: 16 in the checkpoint, 8 now", error.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void Settings_that_cannot_work_are_refused_together()
    {
        using var folder = new TemporaryFolder();
        using var images = TokenizerImages.Open(TinyTokenizerRun.WriteImages(folder["data"]), TinyTokenizerRun.ImageOptions);
        var config = TinyTokenizerRun.Config(images);
        var broken = config with
        {
            BatchSize = 0,
            ContinuousSteps = 30,
            DecayShare = 2,
            Objective = config.Objective with
            {
                LearningRate = double.NaN,
                EmaDecay = 1,
                ClipNorm = -1,
            },
        };
        Assert.Equal(6, Assert.Throws<ConfigException>(broken.Validated).Problems.Count);
    }

    [Theory]
    [InlineData(DiscriminatorKind.PatchGan, 16, "at least 24x24")]
    [InlineData(DiscriminatorKind.PatchGan, 24, null)]
    [InlineData(DiscriminatorKind.StyleGan, 4, "power of two from 8 to 1024")]
    [InlineData(DiscriminatorKind.StyleGan, 8, null)]
    [InlineData(DiscriminatorKind.StyleGan, 24, "power of two from 8 to 1024")]
    [InlineData(DiscriminatorKind.None, 4, null)]
    public void A_discriminator_that_the_images_do_not_fit_is_refused(DiscriminatorKind kind, int side, string? problem)
    {
        var config = new TokenizerRunConfig
        {
            Tokenizer = TinyTokenizerRun.Tokenizer with
            {
                ImageSide = side,
            }, Discriminator = kind, Steps = 1, BatchSize = 1, Data = new TokenizerRunData("", 1, 0, 0),
        };
        if (problem is null)
        {
            config.Validated();
        }
        else
        {
            Assert.Contains(problem, Assert.Throws<ConfigException>(config.Validated).Message, StringComparison.Ordinal);
        }
    }

    [Fact]
    public void The_rate_rises_is_flat_and_falls()
    {
        using var folder = new TemporaryFolder();
        using var images = TokenizerImages.Open(TinyTokenizerRun.WriteImages(folder["data"]), TinyTokenizerRun.ImageOptions);
        var config = TinyTokenizerRun.Config(images) with
        {
            Steps = 10,
            WarmupSteps = 2,
            DecayShare = 0.3,
            Objective = new VqganTrainingConfig { LearningRate = 1 },
        };
        Assert.Equal([0.5, 1, 1, 1, 1, 1, 1, 0.75, 0.5, 0.25], Enumerable.Range(0, 10).Select(s => config.LearningRateAt(s)));
    }
}
