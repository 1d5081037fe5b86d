using System.Diagnostics;
using NextPatch.Core;
using NextPatch.Core.Generation;
using NextPatch.Data.Codes;
using NextPatch.Data.Datasets;
using NextPatch.Data.Sources;
using NextPatch.Extraction;
using NextPatch.Models;

namespace NextPatch;

/// <summary>
/// Turns the images of a dataset into a folder of codes to train on: images -> crops -> tokenizer -> codes. While one batch is encoded the next ones
/// are decoded and cropped. Always in the same order; stopped or killed, the same call continues and ends with the same bytes.
/// </summary>
public sealed class CodeExtractor
{
    private static readonly TimeSpan SaveInterval = TimeSpan.FromSeconds(5);

    private readonly CodeExtractionOptions _options;
    private readonly IComputeBackend _backend;
    private readonly IProgress<CodeExtractionProgress>? _progress;

    private CodeExtractor(CodeExtractionOptions options, IProgress<CodeExtractionProgress>? progress)
        => (_options, _backend, _progress) = (options.Validated(), ComputeBackends.Find(options.Backend), progress);

    /// <summary>Encodes what is not encoded yet. Several threads may each write a folder of their own.</summary>
    /// <param name="options">What to encode, with what, and where to.</param>
    /// <param name="progress">Told after every batch.</param>
    /// <param name="note">Told in a sentence what is about to be encoded, and that a run is continued; null: silent.</param>
    /// <param name="cancellation">Checked within batches; what is done stays done.</param>
    /// <exception cref="ConfigException">An option cannot work; every problem is listed.</exception>
    /// <exception cref="NextPatchException">A file is missing or damaged, or the folder holds codes of other options.</exception>
    /// <exception cref="OperationCanceledException">Stopped; the same call continues.</exception>
    public static CodeExtractionResult Run(
        CodeExtractionOptions options, IProgress<CodeExtractionProgress>? progress = null, Action<string>? note = null,
        CancellationToken cancellation = default)
        => new CodeExtractor(options, progress).Run(note ?? (_ => { }), cancellation);

    private CodeExtractionResult Run(Action<string> note, CancellationToken cancellation)
    {
        using var tokenizer = TokenizerSource.Open(
            _backend, _options.Tokenizer, imageSize: _options.ImageSize, precision: _options.Precision, encodingBatch: _options.BatchSize);
        using var parts = DatasetReader.OpenParts(_options.Images, cancellation);
        var config = tokenizer.Config;
        var images = ChosenImages.From(parts, _options.Part, _options.HeldOut, _options.Seed);
        var views = _options.Views(config.ImageSide);
        var batchImages = tokenizer.EncodingBatch / Gcd(tokenizer.EncodingBatch, views.Count); // whole batches of the network from whole images
        if (3L * batchImages * views.Count * views.Side * views.Side > Array.MaxLength)
        {
            throw new ConfigException(
                $"A batch of {batchImages} images of {views.Count} views has more than 2 GiB of pixels; take a smaller BatchSize.")
            { Settings = ["BatchSize"] };
        }

        var (engine, output) = (tokenizer.GetType().Assembly.GetName().Name!, _options.Output);
        var shards = _options.Shard is null ? CodeShards.Find(output) : null;
        if (_options.Shard is { } shard)
        {
            var (first, end) = CodeShards.Range(images, shard, batchImages);
            (images, output) = (images.Slice(first, end), CodeShards.FolderOf(output, shard));
        }

        var captions = _options.Captions is { } file ? ImageCaptions.Join(file, images, cancellation) : null;
        var planned = new CodeManifest
        {
            Name = _options.Name ?? images.Name,
            GridSide = config.GridSide,
            VocabularySize = config.CodebookSize,
            ClassNames = images.ClassNames,
            TokenizerHash = WeightsHash.ComputeForTokenizer(_options.Tokenizer),
            TokenizerPath = Path.GetFullPath(_options.Tokenizer),
            CropPolicy = views.Policy,
            ImageSide = config.ImageSide,
            Count = images.Count,
            Augmentations = views.Count,
            Captions = captions?.Origin,
        };
        CodeAppender Open(string folder, ChosenImages chosen, CodeLayout layout)
        {
            var its = planned with { Count = chosen.Count };
            return CodeAppender.Open(folder, its, layout, _options.Identity(its, chosen, tokenizer.EncodingBatch, engine));
        }

        using var codes = Open(output, images, _options.Shard is null ? _options.Layout : CodeLayout.Store);
        Announce(note, images, planned, codes);
        if (captions?.MissingCount is > 0 and var missing)
        {
            note($"{missing:N0} of the images have no line in '{_options.Captions}': they are encoded, and training leaves them out.");
        }

        var before = codes.Progress.Count;
        var watch = Stopwatch.StartNew();
        if (shards is { } count && !codes.IsComplete)
        {
            note($"Taking the codes of the {count} parts in '{output}'; their folders are not needed any more afterwards.");
            CodeShards.Merge(output, count, images, batchImages, codes, (folder, chosen) => Open(folder, chosen, CodeLayout.Store), cancellation);
        }

        var shares = codes.IsComplete ? null : Encode(images, views, captions, tokenizer, codes, batchImages, watch, cancellation);
        var seconds = watch.Elapsed.TotalSeconds;
        return new CodeExtractionResult
        {
            Output = output,
            Layout = _options.Layout.ToString().ToLowerInvariant(),
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
            Precision = _options.PrecisionName,
            BatchSize = tokenizer.EncodingBatch,
            ResumedAt = before,
            Seconds = seconds,
            ImagesPerSecond = seconds > 0 ? (codes.Progress.Count - before) / seconds : 0,
            Shares = shares,
            PeakMemory = PeakMemory(),
        };
    }

    private ExtractionShares? Encode(
        ChosenImages images, ImageViews views, ImageCaptions? captions, IImageTokenizer tokenizer, CodeAppender codes, int batchImages,
        Stopwatch watch, CancellationToken cancellation)
    {
        var (first, before) = (codes.Progress.Next, codes.Progress.Count);
        var (encoding, saved) = (TimeSpan.Zero, watch.Elapsed);
        using var feed = new EncodeFeed(images, views, captions, _options.SmallestSide, batchImages, _options.OnError, first, cancellation);
        try
        {
            foreach (var batch in feed.Batches())
            {
                using (batch)
                {
                    var started = watch.Elapsed;
                    Store(batch, tokenizer, views.Count, codes, cancellation);
                    encoding += watch.Elapsed - started;
                }

                Report(codes.Progress.Count - before, codes.Progress.Next - first, codes.Progress.Next, images.Count, watch.Elapsed.TotalSeconds);
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

        var (wall, waited) = (watch.Elapsed.TotalSeconds, (watch.Elapsed - encoding).TotalSeconds);
        var shares = ExtractionShares.Create(feed.DecodeSeconds, feed.PrepareSeconds, encoding.TotalSeconds, _backend.ThreadCount, wall, waited);
        codes.Publish(isPart: _options.Shard is not null);
        return shares;
    }

    private static void Store(EncodeBatch batch, IImageTokenizer tokenizer, int views, CodeAppender codes, CancellationToken cancellation)
    {
        var chosen = new int[batch.Count * views * tokenizer.Config.CodesPerImage];
        tokenizer.Encode(batch.Pixels, chosen, cancellation);
        var done = codes.Progress;
        codes.Append(chosen, batch.Labels, batch.Captions, done with
        {
            Next = batch.Next,
            Count = done.Count + batch.Count,
            HeldOutCount = done.HeldOutCount + batch.HeldOutCount,
            SkippedCount = done.SkippedCount + batch.SkippedCount,
            Skipped = [.. done.Skipped, .. batch.Skipped],
        });
    }

    private void Announce(Action<string> note, ChosenImages images, CodeManifest planned, CodeAppender codes)
    {
        note($"'{images.Name}' ({images.Layout}): {images.TrainCount:N0} images and {images.Count - images.TrainCount:N0} held out, "
            + $"{planned.ClassNames.Count} classes; "
            + $"{planned.Augmentations} squares of {planned.ImageSide}x{planned.ImageSide} each, {planned.GridSide}x{planned.GridSide} codes of "
                + $"{planned.VocabularySize:N0}.");
        if (LeftOutFiles.Describe(images.Name, images.LeftOut) is { } leftOut)
        {
            note(leftOut);
        }

        if (codes.IsComplete)
        {
            note($"'{_options.Output}' is complete; nothing is left to do.");
        }
        else if (codes.Progress.Next > 0)
        {
            note($"Continuing after image {codes.Progress.Next:N0} of {images.Count:N0}.");
        }
    }

    private void Report(int stored, int done, int next, int total, double seconds)
        => _progress?.Report(
            new CodeExtractionProgress(next, total, stored / seconds, done > 0 && seconds > 1 ? seconds / done * (total - next) : null));

    private static long PeakMemory()
    {
        using var process = Process.GetCurrentProcess();
        return process.PeakWorkingSet64;
    }

    private static int Gcd(int a, int b) => b == 0 ? a : Gcd(b, a % b);
}

/// <summary>How far an extraction is.</summary>
/// <param name="Done">Images of the dataset that are behind it, those of an earlier run and those left out included.</param>
/// <param name="Total">Images of the dataset.</param>
/// <param name="ImagesPerSecond">Images stored per second in this run.</param>
/// <param name="SecondsLeft">Estimate; null where there is none yet.</param>
public sealed record CodeExtractionProgress(int Done, int Total, double ImagesPerSecond, double? SecondsLeft);
