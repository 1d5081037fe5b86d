using System.Diagnostics;
using NextPatch.Cli.Benchmarking;
using NextPatch.Cli.Models;
using NextPatch.Cli.Rendering;
using NextPatch.Core;
using NextPatch.Core.Configuration;
using NextPatch.Data.Codes;
using NextPatch.Data.Datasets;
using NextPatch.Data.Sources;
using NextPatch.Torch.Loading;
using NextPatch.Torch.Tokenizer;
using static TorchSharp.torch;

namespace NextPatch.Cli.Extraction;

/// <summary>One <c>encode</c> command: images -> crops -> tokenizer -> folder of codes. While one batch is encoded the next ones are decoded and cropped.</summary>
internal sealed class EncodeJob
{
    private static readonly TimeSpan SaveInterval = TimeSpan.FromSeconds(5);

    private readonly EncodeSettings _settings;
    private readonly ProgressReporter _progress;

    public EncodeJob(EncodeSettings settings, ProgressReporter progress) => (_settings, _progress) = (settings.Validated(), progress);

    /// <summary>Encodes what is not encoded yet.</summary>
    /// <exception cref="OperationCanceledException">Stopped; the same command continues.</exception>
    public EncodeSummary Run(CancellationToken cancellation)
    {
        NativeBackend.EnsureLoaded();
        using var encoder = new CodeEncoder(LoadTokenizer(out var config), _settings.BatchSize, _settings.IsBf16);
        using var parts = DatasetReader.OpenParts(_settings.Images, cancellation);
        var images = ChosenImages.From(parts, _settings.Part, _settings.HeldOut, _settings.Seed);
        var views = _settings.Views(config.ImageSide);
        var planned = new CodeManifest
        {
            Name = _settings.Name ?? images.Name,
            GridSide = config.GridSide,
            VocabularySize = config.CodebookSize,
            ClassNames = images.ClassNames,
            TokenizerHash = WeightsHash.ComputeForTokenizer(_settings.Tokenizer),
            CropPolicy = views.Policy,
            ImageSide = config.ImageSide,
            Count = images.Count,
            Augmentations = views.Count,
        };
        using var codes = CodeAppender.Open(_settings.Output, planned, _settings.Layout, _settings.Identity(planned, images, encoder.BatchSize));
        Announce(images, planned, codes);
        var before = codes.Progress.Count;
        PeakMemory.Reset();
        var watch = Stopwatch.StartNew();
        var shares = codes.IsComplete ? null : Encode(images, views, encoder, codes, watch, cancellation);
        var seconds = watch.Elapsed.TotalSeconds;
        _progress.Dispose();
        return new EncodeSummary
        {
            Output = _settings.Output,
            Layout = _settings.Layout.ToString().ToLowerInvariant(),
            Count = codes.Progress.Count,
            HeldOutCount = codes.Progress.HeldOutCount,
            SkippedCount = codes.Progress.SkippedCount,
            Skipped = codes.Progress.Skipped,
            Classes = planned.ClassNames.Count,
            GridSide = planned.GridSide,
            VocabularySize = planned.VocabularySize,
            Augmentations = planned.Augmentations,
            CropPolicy = planned.CropPolicy,
            TokenizerHash = planned.TokenizerHash,
            Precision = _settings.IsBf16 ? "bf16" : "fp32",
            BatchSize = encoder.BatchSize,
            ResumedAt = before,
            Seconds = seconds,
            ImagesPerSecond = seconds > 0 ? (codes.Progress.Count - before) / seconds : 0,
            Shares = shares,
            PeakMemory = PeakMemory.Bytes(),
        };
    }

    private EncodeShares? Encode(ChosenImages images, ImageViews views, CodeEncoder encoder, CodeAppender codes, Stopwatch watch, CancellationToken cancellation)
    {
        // Whole batches of the network from whole images.
        var batchImages = encoder.BatchSize / Gcd(encoder.BatchSize, views.Count);
        var (first, before) = (codes.Progress.Next, codes.Progress.Count);
        var (encoding, saved) = (TimeSpan.Zero, watch.Elapsed);
        using var feed = new EncodeFeed(images, views, batchImages, _settings.OnError, first, cancellation);
        try
        {
            foreach (var batch in feed.Batches())
            {
                using (batch)
                {
                    var started = watch.Elapsed;
                    Store(batch, encoder, views.Count, codes, cancellation);
                    encoding += watch.Elapsed - started;
                }

                _progress.Report("Encoding", codes.Progress.Next, images.Count, Rate(codes.Progress.Count - before, codes.Progress.Next - first, images.Count - codes.Progress.Next, watch.Elapsed.TotalSeconds));
                if (watch.Elapsed - saved > SaveInterval)
                {
                    codes.Save();
                    saved = watch.Elapsed;
                }
            }
        }
        catch
        {
            codes.Save(); // what was done stays done, whatever stops the rest
            throw;
        }

        var shares = EncodeShares.Create(feed.DecodeSeconds, feed.PrepareSeconds, encoding.TotalSeconds, get_num_threads(), watch.Elapsed.TotalSeconds, (watch.Elapsed - encoding).TotalSeconds);
        codes.Publish();
        return shares;
    }

    private static void Store(EncodeBatch batch, CodeEncoder encoder, int views, CodeAppender codes, CancellationToken cancellation)
    {
        var chosen = new int[batch.Count * views * encoder.CodesPerSquare];
        encoder.Encode(batch.Pixels, chosen, cancellation);
        var done = codes.Progress;
        codes.Append(chosen, batch.Labels, done with
        {
            Next = batch.Next,
            Count = done.Count + batch.Count,
            HeldOutCount = done.HeldOutCount + batch.HeldOutCount,
            SkippedCount = done.SkippedCount + batch.SkippedCount,
            Skipped = [.. done.Skipped, .. batch.Skipped],
        });
    }

    private VqTokenizer LoadTokenizer(out TokenizerConfig config)
    {
        var tokenizer = VqTokenizer.Load(_settings.Tokenizer);
        if (_settings.ImageSize is { } side && side != tokenizer.Config.ImageSide)
        {
            var (own, factor) = (tokenizer.Config.ImageSide, tokenizer.Config.DownsamplingFactor);
            var isFree = tokenizer.Config.Architecture == TokenizerArchitecture.Vqgan;
            tokenizer.Dispose();
            tokenizer = isFree && side % factor == 0 ? VqTokenizer.Load(_settings.Tokenizer, side / factor)
                : throw new ConfigException($"--image-size {side} does not fit the tokenizer in '{_settings.Tokenizer}', which {(isFree ? $"needs a multiple of {factor}" : $"takes images of {own}x{own}")}.");
        }

        config = tokenizer.Config;
        return tokenizer;
    }

    private void Announce(ChosenImages images, CodeManifest planned, CodeAppender codes)
    {
        _progress.WriteLine($"'{images.Name}' ({images.Layout}): {images.TrainCount:N0} images and {images.Count - images.TrainCount:N0} held out, {planned.ClassNames.Count} classes; "
            + $"{planned.Augmentations} squares of {planned.ImageSide}x{planned.ImageSide} each, {planned.GridSide}x{planned.GridSide} codes of {planned.VocabularySize:N0}.");
        if (codes.IsComplete)
        {
            _progress.WriteLine($"'{_settings.Output}' is complete; nothing is left to do.");
        }
        else if (codes.Progress.Next > 0)
        {
            _progress.WriteLine($"Continuing after image {codes.Progress.Next:N0} of {images.Count:N0}.");
        }
    }

    private static string Rate(int stored, int done, int left, double seconds)
        => done > 0 && left > 0 && seconds > 1 ? $"{stored / seconds:0.#} images/s, {Quantity.Duration(seconds / done * left)} left" : "";

    private static int Gcd(int a, int b) => b == 0 ? a : Gcd(b, a % b);
}
