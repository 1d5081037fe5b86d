using System.Diagnostics;
using NextPatch.Cli.Benchmarking;
using NextPatch.Core.Configuration;
using NextPatch.Data.Datasets;
using NextPatch.Data.Sources;
using NextPatch.Extraction;
using NextPatch.Torch.Loading;
using NextPatch.Torch.Tokenizer;
using static TorchSharp.torch;

namespace NextPatch.Benchmarks.Extraction;

// Shape letters used in this file: A views of an image, S pixels per side.

/// <summary>What <c>encode</c> measures.</summary>
/// <param name="CreateTokenizer">Makes the tokenizer; called twice.</param>
/// <param name="Images">Images per round.</param>
/// <param name="Rounds">Repetitions of everything.</param>
/// <param name="BatchSize">Squares per call of the network; null = what suits the tokenizer.</param>
/// <param name="IsBf16">Precision of the encoder that is compared with the published way.</param>
internal sealed record EncodeBenchPlan(Func<VqTokenizer> CreateTokenizer, int Images, int Rounds, int? BatchSize, bool IsBf16);

/// <summary>
/// Times preparation, extraction and the bare convolutions, and the same extraction written the published way (decode, ten crops and one batch of
/// them, one image after the other, in fp32), in turn in every round.
/// </summary>
internal sealed class EncodeBench(EncodeBenchPlan plan, Action<string> note)
{
    private const int PreparedImages = 100;
    private readonly List<double> _decode = [], _crops = [], _prepared = [], _own = [], _published = [], _publishedKept = [], _encoder = [],
        _floor = [];
    private ExtractionShares? _shares;
    private double _agreement;

    public IReadOnlyList<BenchFigure> Run(CancellationToken cancellation)
    {
        using var own = new TorchTokenizer(plan.CreateTokenizer(), plan.IsBf16 ? ComputePrecision.Bf16 : ComputePrecision.Fp32, plan.BatchSize);
        using var published = plan.CreateTokenizer();
        published.eval();
        using var source = new DrawnPhotographs(Math.Max(plan.Images, PreparedImages));
        using var few = new DrawnPhotographs(plan.Images);
        var views = ImageViews.Ten(published.Config.ImageSide);
        var type = plan.IsBf16 ? ScalarType.BFloat16 : ScalarType.Float32;
        var floor = published.Config.Architecture == TokenizerArchitecture.Vqgan ? new ConvolutionRoofline(published.Config, type) : null;
        for (var round = 0; round < plan.Rounds; round++)
        {
            cancellation.ThrowIfCancellationRequested();
            Prepare(source, views);
            LargeBlocks.GiveBack();
            var expected = ExtractPublished(few, views, published, _published, cancellation);
            LargeBlocks.Keep();
            ExtractPublished(few, views, published, _publishedKept, cancellation);
            var codes = Extract(few, views, own, cancellation);
            _agreement = codes.Zip(expected).Count(p => p.First == p.Second) / (double)codes.Length;
            EncodeOne(own, views, few, cancellation);
            _floor.Add(floor?.Measure() ?? double.NaN);
            note($"round {round + 1} of {plan.Rounds}: {_prepared[^1]:F0} images/s prepared; {_own[^1]:F3} s/image encoded, "
                + $"the published way {_published[^1]:F3}; {_encoder[^1]:F3} s/square, bare convolutions {_floor[^1]:F3}");
        }

        return [.. Figures(floor)];
    }

    private void Prepare(DrawnPhotographs source, ImageViews views)
    {
        var bytes = views.Count * views.Side * views.Side * 3;
        var buffers = new ThreadLocal<byte[]>(() => new byte[bytes]);
        var started = Stopwatch.GetTimestamp();
        Parallel.For(0, PreparedImages, i => views.Write(source.Decode(i), buffers.Value));
        _prepared.Add(PreparedImages / Stopwatch.GetElapsedTime(started).TotalSeconds);
        for (var i = 0; i < PreparedImages; i++)
        {
            started = Stopwatch.GetTimestamp();
            var image = source.Decode(i);
            var decoded = Stopwatch.GetTimestamp();
            views.Write(image, buffers.Value);
            _decode.Add(Stopwatch.GetElapsedTime(started, decoded).TotalSeconds);
            _crops.Add(Stopwatch.GetElapsedTime(decoded).TotalSeconds);
        }
    }

    private static int[] ExtractPublished(
        DrawnPhotographs source, ImageViews views, VqTokenizer tokenizer, List<double> seconds, CancellationToken cancellation)
    {
        var codes = new List<int>();
        var pixels = new byte[views.Count * views.Side * views.Side * 3];
        using var noGradient = no_grad();
        var started = Stopwatch.GetTimestamp();
        for (var i = 0; i < source.Count; i++)
        {
            cancellation.ThrowIfCancellationRequested();
            using var scope = NewDisposeScope();
            views.Write(source.Decode(i), pixels);
            var chosen = tokenizer.Quantize(tokenizer.Latents(ImageTensors.FromPixels(pixels, views.Side)));
            codes.AddRange(chosen.to(ScalarType.Int32).data<int>().ToArray());
        }

        seconds.Add(Stopwatch.GetElapsedTime(started).TotalSeconds / source.Count);
        return [.. codes];
    }

    private int[] Extract(DrawnPhotographs source, ImageViews views, TorchTokenizer encoder, CancellationToken cancellation)
    {
        var codes = new List<int>();
        var images = ChosenImages.From(new DatasetParts(source, null), DatasetPart.All);
        var started = Stopwatch.GetTimestamp();
        using var feed = new EncodeFeed(
            images, views, captions: null, smallestSide: 0, batchImages: 1, OnBadImage.Fail, first: 0, cancellation);
        var encoding = 0.0;
        foreach (var batch in feed.Batches())
        {
            using (batch)
            {
                var begun = Stopwatch.GetTimestamp();
                var chosen = new int[batch.Count * views.Count * encoder.Config.CodesPerImage];
                encoder.Encode(batch.Pixels, chosen, cancellation);
                codes.AddRange(chosen);
                encoding += Stopwatch.GetElapsedTime(begun).TotalSeconds;
            }
        }

        var wall = Stopwatch.GetElapsedTime(started).TotalSeconds;
        _own.Add(wall / source.Count);
        _shares = ExtractionShares.Create(feed.DecodeSeconds, feed.PrepareSeconds, encoding, get_num_threads(), wall, wall - encoding);
        return [.. codes];
    }

    /// <summary>Whole batches of the network without anything around them.</summary>
    private void EncodeOne(TorchTokenizer encoder, ImageViews views, DrawnPhotographs source, CancellationToken cancellation)
    {
        var square = ImageViews.Centre(views.Side);
        var size = views.Side * views.Side * 3;
        var pixels = new byte[encoder.EncodingBatch * size];
        square.Write(source.Decode(0), pixels.AsSpan(0, size));
        var codes = new int[encoder.EncodingBatch * encoder.Config.CodesPerImage];
        for (var run = 0; run < 3; run++)
        {
            var started = Stopwatch.GetTimestamp();
            encoder.Encode(pixels, codes, cancellation);
            var seconds = Stopwatch.GetElapsedTime(started).TotalSeconds / encoder.EncodingBatch;
            _encoder.Add(run == 0 ? seconds : Math.Min(seconds, _encoder[^1]));
        }
    }

    private IEnumerable<BenchFigure> Figures(ConvolutionRoofline? floor)
    {
        yield return new BenchFigure("preprocess.decode.min", _decode.Min(), "s/image");
        yield return new BenchFigure("preprocess.tenCrops.min", _crops.Min(), "s/image");
        yield return new BenchFigure("preprocess.images", _prepared.Max(), "images/s");
        yield return new BenchFigure(
            "extract.median", BenchFigure.Median(_own), "s/image", BenchFigure.Median(_published),
            BenchFigure.Median(_own.Zip(_published, (a, b) => a / b)));
        yield return new BenchFigure("extract.min", _own.Min(), "s/image", _published.Min(), _own.Min() / _published.Min());
        yield return new BenchFigure(
            "extract.publishedKeptPages.min", _publishedKept.Min(), "s/image", _published.Min(), _publishedKept.Min() / _published.Min());
        yield return new BenchFigure("extract.sameCodes", _agreement, "share");
        yield return new BenchFigure("extract.share.decode", _shares!.Decode, "share");
        yield return new BenchFigure("extract.share.preprocess", _shares.Preprocess, "share");
        yield return new BenchFigure("extract.share.encode", _shares.Encode, "share");
        yield return new BenchFigure("encoder.min", _encoder.Min(), "s/square", FloorShare: floor is null ? null : _floor.Min() / _encoder.Min());
        if (floor is not null)
        {
            yield return new BenchFigure("encoder.rate", floor.Flops / _encoder.Min(), "FLOP/s");
            yield return new BenchFigure("convolutions.rate", floor.Flops / _floor.Min(), "FLOP/s");
        }
    }
}
