using NextPatch.Core;
using NextPatch.Core.Configuration;
using NextPatch.Torch.Loading;
using NextPatch.Torch.Tokenizer;
using NextPatch.Training.Tokenizer;

namespace NextPatch.Training.Tests.Tokenizer;

[NoTensorLeaks]
public sealed class TokenizerTrainerTests
{
    private static readonly TokenizerConfig Tiny = new() { ImageSide = 8, CodebookSize = 8, CodeWidth = 4, Channels = [8, 8], BlockCounts = [0, 1] };
    private static readonly TokenizerTrainingConfig Short = new() { Steps = 40, BatchSize = 4, ContinuousSteps = 5, RevivalInterval = 5, ReportInterval = 10, LearningRate = 1e-2, Seed = 3 };

    [Fact]
    public void Training_learns_and_reports_what_it_did()
    {
        using var tokenizer = new VqTokenizer(Tiny, seed: 1);
        var reports = Train(tokenizer, Short);
        Assert.Equal([10, 20, 30, 40], reports.Select(r => r.Step));
        Assert.True(reports[^1].Psnr > reports[0].Psnr + 2, $"PSNR went from {reports[0].Psnr} to {reports[^1].Psnr}.");
        Assert.InRange(reports[^1].UsedCodes, 2, 8);
        Assert.InRange(reports[^1].Perplexity, 1, reports[^1].UsedCodes + 1e-9);
    }

    [Fact]
    public void Two_runs_of_one_seed_end_with_equal_weights()
    {
        Assert.Equal(WeightsAfter(Short), WeightsAfter(Short));
        Assert.NotEqual(WeightsAfter(Short), WeightsAfter(Short with { Seed = 4 }));
    }

    [Fact]
    public void Codes_that_no_latent_chooses_are_moved_to_latents()
    {
        // Without the k-means start the random codes lie far from the latents, and few of them win any.
        using var tokenizer = new VqTokenizer(Tiny, seed: 1);
        var reports = Train(tokenizer, Short with { ContinuousSteps = 0, Steps = 60, DecayShare = 0.2 });
        var usage = reports.Select(r => r.UsedCodes).ToArray();
        Assert.Contains(reports, r => r.Revived > 0);
        Assert.True(usage[^1] >= 4, $"used codes went {string.Join(", ", usage)}");
        Assert.All(reports.Where(r => r.Step > 50), r => Assert.Equal(0, r.Revived));
    }

    [Fact]
    public void A_loss_that_is_not_a_number_stops_the_run_with_the_step()
    {
        using var tokenizer = new VqTokenizer(Tiny, seed: 1);
        var error = Assert.Throws<NextPatchException>(() => Train(tokenizer, Short with { LearningRate = 1e30 }));
        Assert.Matches("^The tokenizer's loss became (NaN|∞|Infinity) at step [0-9]+ of 40; ", error.Message);
    }

    [Fact]
    public void Cancellation_stops_the_run()
    {
        using var tokenizer = new VqTokenizer(Tiny, seed: 1);
        using var source = new CancellationTokenSource();
        var steps = 0;
        var progress = new Listener(r =>
        {
            steps = r.Step;
            source.Cancel();
        });
        Assert.Throws<OperationCanceledException>(() => TokenizerTrainer.Train(tokenizer, Pixels(), Short, progress, source.Token));
        Assert.Equal(10, steps);
    }

    [Fact]
    public void Settings_that_cannot_work_are_refused_together()
    {
        var broken = new TokenizerTrainingConfig { Steps = 50, BatchSize = 0, LearningRate = double.NaN, DecayShare = 2 };
        Assert.Equal(4, Assert.Throws<ConfigException>(broken.Validate).Problems.Count);
        using var tokenizer = new VqTokenizer(Tiny, seed: 1);
        Assert.Contains("no images", Assert.Throws<ConfigException>(() => TokenizerTrainer.Train(tokenizer, Array.Empty<byte>(), Short)).Message, StringComparison.Ordinal);
    }

    [Fact]
    public void The_rate_is_flat_and_then_falls_in_a_line()
    {
        var config = new TokenizerTrainingConfig { Steps = 10, LearningRate = 1, DecayShare = 0.3 };
        Assert.Equal([1, 1, 1, 1, 1, 1, 1, 0.75, 0.5, 0.25], Enumerable.Range(0, 10).Select(config.LearningRateAt));
    }

    private static byte[] WeightsAfter(TokenizerTrainingConfig config)
    {
        using var tokenizer = new VqTokenizer(Tiny, seed: 1);
        Train(tokenizer, config);
        return [.. StateLoader.Capture(tokenizer).SelectMany(p => p.Value.Bytes.ToArray())];
    }

    private static List<TokenizerProgress> Train(VqTokenizer tokenizer, TokenizerTrainingConfig config)
    {
        var reports = new List<TokenizerProgress>();
        TokenizerTrainer.Train(tokenizer, Pixels(), config, new Listener(reports.Add));
        return reports;
    }

    // 32 images of 8x8: a bright square in one of four corners, in one of three colours.
    private static byte[] Pixels()
    {
        var pixels = new byte[32 * 8 * 8 * 3];
        for (var i = 0; i < 32; i++)
        {
            for (var p = 0; p < 16; p++)
            {
                var (x, y) = ((p % 4) + (i % 2 * 4), (p / 4) + (i / 2 % 2 * 4));
                pixels[(((i * 8) + y) * 8 * 3) + (x * 3) + (i % 3)] = 255;
            }
        }

        return pixels;
    }

    // Progress<T> posts to a thread pool; a test wants reports in place and in order.
    private sealed class Listener(Action<TokenizerProgress> listen) : IProgress<TokenizerProgress>
    {
        public void Report(TokenizerProgress value) => listen(value);
    }
}
