using System.Diagnostics;
using NextPatch.Cli.Rendering;
using NextPatch.Core;
using NextPatch.Core.Configuration;
using NextPatch.Core.Patches;
using NextPatch.Core.Sampling;
using NextPatch.Data.Codes;
using NextPatch.Data.Sources;
using NextPatch.Evaluation.Networks;
using NextPatch.Torch.Tokenizer;
using NextPatch.Training.Gpt;
using NextPatch.Training.Tokenizer;

namespace NextPatch.Cli.Quickstart;

/// <summary>
/// Fits step counts to a wished duration by timing a few steps on the machine at hand. Only used with <c>--minutes</c>, because the result depends on
/// the machine.
/// </summary>
internal static class TimeBudget
{
    private const int ProbeSteps = 12;
    private const int ProbeImages = 256;
    private const int MinimumSteps = 40;
    private const int MinimumJudgeSteps = 60;
    private const int MinimumImages = 1000;

    // Of the whole time; what is left after judge, codes and samples is for learning.
    private const double JudgeShare = 0.2;
    private const double CodesShare = 0.15;

    // Loading, sampling and the last measurements; seen: 12 s where the whole quickstart takes 220.
    private const double RestSeconds = 12;

    /// <summary>
    /// Before anything is trained: as many images as can be encoded and judged in the time, and a judge that takes no more than its share.
    /// </summary>
    /// <param name="settings">Those of a run of any length.</param>
    /// <param name="data">All images.</param>
    /// <param name="minutes">The whole time.</param>
    /// <param name="spent">Seconds since the start: reading.</param>
    /// <param name="note">Takes a sentence where fewer images or steps are used.</param>
    /// <param name="cancellation">Checked between probes.</param>
    /// <exception cref="ConfigException">The time is too short for the least of everything: says how much would do.</exception>
    public static (DatasetSplit Data, ClassifierTrainingConfig Classifier) Fit(
        QuickstartSettings settings, DatasetSplit data, double minutes, double spent, Action<string> note, CancellationToken cancellation)
    {
        var total = minutes * 60;
        var probe = new DatasetSplit(Part(data.Train, ProbeImages), Part(data.HeldOut, ProbeImages));
        var perImage = SecondsToEncode(settings, probe.Train, cancellation) / probe.Train.Count;
        var (perStep, perJudged) = SecondsToJudge(settings.Classifier, probe, cancellation);

        var fewest = Math.Min(data.Train.Count, MinimumImages);
        var least = spent + (MinimumJudgeSteps * perStep) + (fewest * ((1.5 * perImage) + perJudged)) + RestSeconds;
        if (total < 1.25 * least)
        {
            throw new ConfigException(
                $"--minutes {minutes} is too short here: reading took {Quantity.Duration(spent)}, and a judge, codes and samples of the fewest "
                    + $"images would take {Quantity.Duration(least - spent)}, before anything is learned. --minutes "
                    + $"{Math.Ceiling(least / 15) / 2:F1} would do.");
        }

        var images = Math.Clamp((int)(CodesShare * total / perImage), fewest, data.Train.Count + data.HeldOut.Count);
        var share = (double)images / (data.Train.Count + data.HeldOut.Count);
        if (share < 1)
        {
            data = new DatasetSplit(Part(data.Train, (int)(share * data.Train.Count)), Part(data.HeldOut, (int)(share * data.HeldOut.Count)));
            note($"{data.Train.Count:N0} training and {data.HeldOut.Count:N0} held-out images are used: no more can be encoded in a share of "
                + $"--minutes {minutes}.");
        }

        var (config, judging) = (settings.Classifier, data.HeldOut.Count * perJudged);
        var judge = JudgeShare * total;
        if ((config.MaximumSteps * perStep) + (config.MaximumRounds * judging) > judge)
        {
            var steps = Math.Clamp((int)((judge - judging) / perStep), MinimumJudgeSteps, config.MaximumSteps);
            config = config with { RoundSteps = steps, MaximumRounds = 1 };
        }

        return (data, config);
    }

    /// <summary>The first images of a fixed permutation, so that the classes keep about their shares; all where there are no more.</summary>
    public static ImageDataset Part(ImageDataset images, int count)
    {
        count = Math.Min(Math.Max(1, count), images.Count);
        if (count == images.Count)
        {
            return images;
        }

        var bytes = images.Side * images.Side * 3;
        var (pixels, labels) = (new byte[checked(count * bytes)], new int[count]);
        var order = new SeekablePermutation(images.Count, seed: 0, epoch: 0);
        for (var i = 0; i < count; i++)
        {
            var from = (int)order[i];
            images.Image(from).CopyTo(pixels.AsSpan(i * bytes));
            labels[i] = images.Labels[from];
        }

        return new ImageDataset { Name = images.Name, Side = images.Side, ClassNames = images.ClassNames, Pixels = pixels, Labels = labels };
    }

    private static double SecondsToEncode(QuickstartSettings settings, ImageDataset images, CancellationToken cancellation)
    {
        using var tokenizer = new VqTokenizer(settings.TokenizerTraining.Tokenizer, settings.Seed);
        tokenizer.DecodePixels(tokenizer.EncodePixels(images.Pixels, cancellation), cancellation); // warms up
        var watch = Stopwatch.StartNew();
        tokenizer.DecodePixels(tokenizer.EncodePixels(images.Pixels, cancellation), cancellation);
        return watch.Elapsed.TotalSeconds;
    }

    private static (double PerStep, double PerImage) SecondsToJudge(
        ClassifierTrainingConfig config, DatasetSplit data, CancellationToken cancellation)
    {
        var probe = config with { RoundSteps = ProbeSteps, MaximumRounds = 1 };
        using (ClassifierTrainer.Train(data, probe, out _, cancellation: cancellation))
        {
            // Warms up.
        }

        var watch = Stopwatch.StartNew();
        using var classifier = ClassifierTrainer.Train(data, probe, out _, cancellation: cancellation);
        var both = watch.Elapsed.TotalSeconds;
        watch.Restart();
        classifier.Classify(data.HeldOut.Pixels, cancellation);
        var judged = watch.Elapsed.TotalSeconds;
        return (Math.Max(both - judged, both / 10) / ProbeSteps, judged / data.HeldOut.Count);
    }

    /// <summary>The tokenizer gets a fifth of what is left: its quality saturates first.</summary>
    public static double ForTokenizer(double secondsLeft) => secondsLeft * 0.2;

    /// <summary>What is left less the parts that follow, which take about as long as encoding and judging did.</summary>
    /// <param name="secondsLeft">Until the end of the whole time.</param>
    /// <param name="secondsByPart">What the parts so far took.</param>
    /// <param name="isCompared">Whether next-token training follows, which takes about 1.6 times as long; it adds samples of both.</param>
    public static double ForTraining(double secondsLeft, IReadOnlyDictionary<string, double> secondsByPart, bool isCompared)
        => (secondsLeft - (0.5 * secondsByPart["codes"]) - (isCompared ? 2 * RestSeconds : RestSeconds)) * (isCompared ? 0.38 : 1);

    public static TokenizerRunConfig Fit(
        TokenizerRunConfig config, TokenizerImages images, string scratch, double seconds, CancellationToken cancellation)
    {
        Probe(); // warms up
        var steps = Math.Max(MinimumSteps, (int)(seconds / (Probe() / ProbeSteps)));
        return config with { Steps = steps, ContinuousSteps = steps / 10 };

        double Probe()
        {
            double taken;
            using (var run = new TokenizerRun(
                config with { Steps = ProbeSteps, ContinuousSteps = 0 }, images, new TokenizerRunOptions { Output = scratch }))
            {
                taken = run.Run(cancellation).Seconds;
            }

            Directory.Delete(scratch, recursive: true);
            return taken;
        }
    }

    public static TrainingConfig Fit(
        TrainingConfig config, GptConfig model, CodeStore store, string scratch, double seconds, CancellationToken cancellation)
    {
        // FLOPs tell the ratio between stages; the probe runs every stage, so short sequences are timed as they are.
        var schedule = config with { Steps = ProbeSteps * config.Sides.Count };
        TrainingResult result;
        using (var trainer = new GptTrainer(
            new CheckpointConfig { Model = model, Training = schedule }, store, new GptRunOptions { Output = scratch }))
        {
            result = trainer.Run(cancellation);
        }

        Directory.Delete(scratch, recursive: true);
        var perImage = result.StageSeconds.Zip(result.StageImages, (s, n) => s / n).ToArray();
        var shares = PatchSchedule.Create(1_000_000, 1, config.Sides, config.StageRate).Stages;
        var secondsPerStep = shares.Select((stage, i) => perImage[Math.Min(i, perImage.Length - 1)] * stage.StepCount / 1e6).Sum() * config.BatchSize;
        return config with { Steps = Math.Max(MinimumSteps, (long)(seconds / secondsPerStep)) };
    }
}
