using System.CommandLine;
using System.Globalization;
using NextPatch.Cli.CommandLine;
using NextPatch.Cli.Rendering;
using NextPatch.Cli.Reports;
using NextPatch.Cli.Training;
using NextPatch.Core.Checkpoints;
using NextPatch.Core.Configuration;
using NextPatch.Core.Files;
using NextPatch.Core.Imaging;
using NextPatch.Data.Imaging;
using NextPatch.Torch.Devices;
using NextPatch.Torch.Loading;
using NextPatch.Torch.Perception;
using NextPatch.Torch.Tokenizer;
using NextPatch.Training.Tokenizer;

namespace NextPatch.Cli.Tokenizers;

/// <summary>One <c>tokenizer train</c> command: images, settings, run, what is shown.</summary>
internal sealed class TokenizerTrainJob(TokenizerTrainOptions options, ParseResult parsed, ProgressReporter progress)
{
    private const int GridColumns = 8;

    // Smaller pictures are enlarged to about this.
    private const int SmallestTile = 96;

    /// <returns>False when it was stopped before its last step.</returns>
    public bool Run(CancellationToken cancellation)
    {
        NativeBackend.EnsureLoaded();
        using var initial = parsed.GetValue(options.InitFrom) is { } from ? VqTokenizer.Load(from) : null;
        var tokenizer = options.Model.Resolve(parsed, initial?.Config);
        using var images = TokenizerImages.Open(parsed.GetRequiredValue(options.Images), options.ImageOptions(parsed), cancellation);
        using var perception = PerceptualWeights.Open(parsed.GetRequiredValue(options.Perceptual));
        var config = options.Resolve(parsed, tokenizer, images.Data, Precision(tokenizer));
        using var run = new TokenizerRun(
            config, images, GptRunOptions(tokenizer), perception,
            initial is null ? null : t => Fill(t, initial, config));
        options.Save(parsed);
        Introduce(config, run, perception);
        if (images.LeftOut is { } leftOut)
        {
            progress.WriteLine(leftOut);
        }

        var result = run.Run(cancellation);
        progress.Dispose();
        Conclude(result, images);
        WriteReport(parsed.GetRequiredValue(options.Frame.Output));
        return result.IsComplete;
    }

    private TokenizerRunOptions GptRunOptions(TokenizerConfig tokenizer) => options.Frame.Fill(parsed, new TokenizerRunOptions
    {
        Output = parsed.GetRequiredValue(options.Frame.Output),
        Device = parsed.GetRequiredValue(options.Device),
        GridEvery = parsed.GetRequiredValue(options.GridEvery),
        UsageAlarm = parsed.GetRequiredValue(options.UsageAlarm),
        OnGrid = (step, originals, reconstructions) => WriteGrid(step, originals, reconstructions, tokenizer.ImageSide),
        OnProgress = p => progress.Report("Training", p.Step, p.Steps, Line(p)),
        OnNote = progress.WriteLine,
    });

    private ComputePrecision Precision(TokenizerConfig tokenizer) => PrecisionChoice.ForRun(
        parsed, options.Precision, options.Frame, checkpoint => TokenizerRun.ReadConfig(checkpoint).Precision,
            asked => DeviceOption.Of(parsed, options.Device) is var device && TorchDevices.IsCpu(device)
                ? PrecisionChoice.Choose(asked, tokenizer, options.BatchSize(parsed)) : DeviceOption.Precision(asked, device), progress);

    /// <summary>Copies the initial weights, and says what that is and what it is not.</summary>
    private void Fill(VqTokenizer tokenizer, VqTokenizer initial, TokenizerRunConfig config)
    {
        StateLoader.Load(tokenizer, StateLoader.Capture(initial).ToDictionary(), "--init-from");
        var from = parsed.GetValue(options.InitFrom)!;
        using var file = WeightsFile.Open(from);
        var discriminator = config.Discriminator == DiscriminatorKind.None ? "" : "the discriminator, ";
        progress.WriteLine(
            $"Loaded from {file.Path}: encoder, codebook of {config.Tokenizer.CodebookSize:N0} codes and decoder, "
            + $"{initial.parameters().Sum(p => p.NumberOfElements):N0} parameters{(file.Kind == WeightsKind.Ema ? " (their average, ema)" : "")}. "
                + $"Anew start "
            + $"{discriminator}Adam's moments, the average of the weights and the steps, with the learning rate's warm-up.");
        if (config.Frozen is { } frozen)
        {
            var names = frozen.Select(p => p.ToString().ToLowerInvariant());
            var rest = Enum.GetValues<TokenizerPart>().Except(frozen).Select(p => p.ToString().ToLowerInvariant());
            progress.WriteLine($"Frozen: {string.Join(", ", names)}. Trained: {string.Join(", ", rest)}.");
        }
    }

    private void Introduce(TokenizerRunConfig config, TokenizerRun run, IPerceptualLoss? perception)
    {
        var (model, data) = (config.Tokenizer, config.Data);
        progress.WriteLine(
            $"Tokenizer: {run.Tokenizer.parameters().Sum(p => p.NumberOfElements):N0} parameters, {model.ImageSide}x{model.ImageSide} pixels to "
            + $"{model.GridSide}x{model.GridSide} of {model.CodebookSize:N0} codes.");
        progress.WriteLine(
            $"Images: {data.TrainingCount:N0} of {data.Name} to train on, {data.HeldOutCount:N0} held out, {data.JudgedCount:N0} of them judged. "
            + $"{config.Steps:N0} steps of {config.BatchSize}: {(double)config.Steps * config.BatchSize / data.TrainingCount:F1} epochs.");
        if (perception is null)
        {
            progress.WriteLine("No perceptual loss: it needs weights (--perceptual). Pixels alone decide, so fine texture will be smoother.");
        }
    }

    private void Conclude(TokenizerRunResult result, TokenizerImages images)
    {
        if (images.BadCount > 0)
        {
            progress.WriteLine(
                $"Images that could not be read, replaced by the next ones: "
                + $"{images.BadCount:N0}.{string.Concat(images.BadReasons.Select(r => $"{Environment.NewLine}  {r}"))}");
        }

        if (result.SkippedSteps > 0)
        {
            progress.WriteLine(
                $"Skipped: {result.SkippedSteps:N0} steps whose loss or gradient was not finite; the batches are in nan-step-* of the run.");
        }

        if (result.HeldOut is { } heldOut)
        {
            progress.WriteLine(
                $"Held-out: PSNR {heldOut.Psnr:F2} dB, {heldOut.CodebookUsage:P1} of the codebook used, perplexity {heldOut.Perplexity:F0}.");
        }

        var output = parsed.GetRequiredValue(options.Frame.Output);
        progress.WriteLine(result.IsComplete
            ? $"Finished after {result.Step:N0} steps in {Quantity.Duration(result.Seconds)}. Tokenizer: {output}"
            : $"Stopped after step {result.Step:N0}. 'nextpatch tokenizer train --resume {output}' continues, and so does the same command with "
                + $"--resume. Checkpoint: {result.Checkpoint ?? "none yet"}");
    }

    private void WriteReport(string run)
    {
        try
        {
            progress.WriteLine($"Report: {TokenizerReport.Write(run)}");
        }
        catch (Exception e) when (DiskTrouble.Is(e))
        {
            progress.WriteLine($"The report could not be written: {e.Message} 'nextpatch report {run}' makes it again.");
        }
    }

    private static string Line(TokenizerRunProgress p)
    {
        var codes = p.CodebookUsage is { } usage ? $"  {usage:P0} of codes, perplexity {p.Perplexity:F0}" : "  not yet quantised";
        var heldOut = p.HeldOut is { } h ? $"  held-out {h.Psnr:F2} dB, {h.CodebookUsage:P0}" : "";
        var adversarial = p.Last.Adversarial is { } a ? $"  adv {a:F3} disc {p.Last.DiscriminatorLoss:F3}" : "";
        var skipped = p.SkippedSteps > 0 ? $"  {p.SkippedSteps} skipped" : "";
        var wait = p.DataWaitShare >= 0.01 ? $"  {p.DataWaitShare:P0} waiting for images" : "";
        return $"loss {p.Loss:F4}  PSNR {p.Psnr:F2} dB{codes}{heldOut}{adversarial}{skipped}  lr "
            + $"{p.LearningRate.ToString("0.0e+0", CultureInfo.InvariantCulture)}  {p.ImagesPerSecond:F0} img/s{wait}  "
            + $"{Quantity.Duration(p.SecondsLeft)} left";
    }

    /// <summary>Rows of originals, each with its reconstructions below.</summary>
    private void WriteGrid(long step, ReadOnlyMemory<byte> originals, ReadOnlyMemory<byte> reconstructions, int side)
    {
        var size = side * side * 3;
        var count = originals.Length / size;
        var columns = Math.Min(GridColumns, count);
        var rows = Enumerable.Range(0, count / columns).SelectMany(row => new[] { originals, reconstructions }.SelectMany(pixels =>
            Enumerable.Range(row * columns, columns).Select(i => new RgbImage(side, side, pixels.Slice(i * size, size).ToArray()))));
        var folder = Path.Combine(parsed.GetRequiredValue(options.Frame.Output), "reconstructions");
        Directory.CreateDirectory(folder);
        var picture = PngWriter.Encode(ImageGrid.Compose([.. rows], columns, Math.Max(1, SmallestTile / side)));
        AtomicFile.Write(Path.Combine(folder, $"step-{step:D8}.png"), stream => stream.Write(picture), Path.Combine(folder, ".writing.png"));
    }
}
