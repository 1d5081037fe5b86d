using NextPatch.Core;
using NextPatch.Core.Configuration;
using NextPatch.Torch.Tokenizer;
using NextPatch.Training.Gpt;
using NextPatch.Training.Tests.Gpt;

namespace NextPatch.Training.Tests;

[NoTensorLeaks]
public sealed class GptTrainingTests
{
    [Fact]
    public void A_run_gives_the_weights_of_the_trainer_and_fits_the_model_to_the_codes()
    {
        using var folder = new TemporaryFolder();
        var codes = TinyRun.WriteCodes(folder["codes"]);
        var expected = TinyRun.Train(codes, new GptRunOptions { Output = folder["trainer"] });
        TrainingCost? planned = null;
        var (reports, own) = (new Reports(), new List<TrainingProgress>());

        var result = GptTraining.Run(
            new()
            {
                Codes = codes, Model = TinyRun.Model with { GridSide = 6, ClassCount = 10, VocabularySize = 50 }, Training = TinyRun.Training,
                Run = new() { Output = folder["run"], LogEvery = 4, OnProgress = own.Add }, OnPlanned = cost => planned = cost,
            },
            reports);

        Assert.True(result.IsComplete);
        Assert.Equal(TinyRun.Weights(expected.Checkpoint!), TinyRun.Weights(result.Checkpoint!));
        Assert.Equal(2, planned!.Stages.Count);
        Assert.Equal(12, reports.All[^1].Step);
        Assert.Equal(own, reports.All);
    }

    [Fact]
    public void A_cancelled_run_continues_with_the_same_bytes()
    {
        using var folder = new TemporaryFolder();
        using var stop = new CancellationTokenSource();
        var codes = TinyRun.WriteCodes(folder["codes"]);
        var request = new GptTrainingRequest
        {
            Codes = codes, Model = TinyRun.Model, Training = TinyRun.Training,
            Run = new() { Output = folder["stopped"], LogEvery = 1, OnProgress = p => CancelAt(p, stop) },
        };

        var stopped = GptTraining.Run(request, cancellation: stop.Token);
        var resumed = GptTraining.Run(request with { Run = new() { Output = folder["stopped"], Resume = true } });
        var whole = GptTraining.Run(request with { Run = new() { Output = folder["whole"] } });

        Assert.False(stopped.IsComplete);
        Assert.Equal(TinyRun.Weights(whole.Checkpoint!), TinyRun.Weights(resumed.Checkpoint!));
        var error = Assert.Throws<ConfigException>(() => GptTraining.Run(request));
        Assert.Contains("Continue it with Resume, or choose another Output.", error.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void Sample_grids_show_what_the_model_draws()
    {
        using var folder = new TemporaryFolder();
        var codes = TinyRun.WriteCodes(folder["codes"]);
        var config = new TokenizerConfig
        {
            ImageSide = 16, DownsamplingFactor = 4, CodebookSize = TinyRun.Vocabulary, Channels = [16, 16], BlockCounts = [1, 1],
        };
        using (var tokenizer = new VqTokenizer(config, seed: 3))
        {
            tokenizer.SaveTo(folder["tokenizer"]);
        }

        var request = new GptTrainingRequest
        {
            Codes = codes, Model = TinyRun.Model, Training = TinyRun.Training, Run = new() { Output = folder["run"], SampleEvery = 6 },
        };
        GptTraining.Run(request);

        Assert.Equal(["step-00000006.png", "step-00000012.png"], Directory.GetFiles(folder["run/samples"]).Select(Path.GetFileName).Order());
        Assert.True(new FileInfo(folder["run/samples/step-00000012.png"]).Length > 0);
        var unfound = request with { Tokenizer = folder["nowhere"], Run = new() { Output = folder["b"], SampleEvery = 6 } };
        var missing = Assert.Throws<ConfigException>(() => GptTraining.Run(unfound));
        Assert.Contains("Name it with Tokenizer", missing.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void Settings_that_do_not_fit_the_codes_are_refused()
    {
        using var folder = new TemporaryFolder();
        var request = new GptTrainingRequest
        {
            Codes = TinyRun.WriteCodes(folder["codes"]), Model = TinyRun.Model with { VocabularySize = 3 }, FitsToCodes = false,
            Training = TinyRun.Training, Run = new() { Output = folder["run"] },
        };

        Assert.Contains("set VocabularySize 12", Assert.Throws<ConfigException>(() => GptTraining.Run(request)).Message, StringComparison.Ordinal);
    }

    private static void CancelAt(TrainingProgress progress, CancellationTokenSource stop)
    {
        if (progress.Step == 5)
        {
            stop.Cancel();
        }
    }

    private sealed class Reports : IProgress<TrainingProgress>
    {
        public List<TrainingProgress> All { get; } = [];

        public void Report(TrainingProgress value) => All.Add(value);
    }
}
