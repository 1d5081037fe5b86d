using System.Buffers;
using System.Threading.Channels;
using NextPatch.Core;
using NextPatch.Core.Imaging;
using NextPatch.Data.Datasets;
using NextPatch.Data.Sources;

namespace NextPatch.Extraction;

/// <summary>
/// Decodes and crops images on other threads and packs them into batches, always in the source's order. Few batches wait at a time.
/// </summary>
internal sealed class EncodeFeed : IDisposable
{
    private const int WaitingBatches = 2;

    private readonly ChosenImages _images;
    private readonly ImageViews _views;
    private readonly ImageCaptions? _captions;
    private readonly int _smallestSide;
    private readonly int _batchImages;
    private readonly ImageStream _stream;
    private readonly Channel<EncodeBatch> _ready = Channel.CreateBounded<EncodeBatch>(WaitingBatches);
    private readonly CancellationTokenSource _stop;
    private readonly Task _work;

    /// <param name="images">Stays open.</param>
    /// <param name="views">What is made of each.</param>
    /// <param name="captions">Their captions; null where they have none.</param>
    /// <param name="smallestSide">Images with a smaller width or height count as bad.</param>
    /// <param name="batchImages">Images per batch.</param>
    /// <param name="onBad">What happens to images that cannot be read.</param>
    /// <param name="first">Place of the first image.</param>
    /// <param name="cancellation">Stops the work.</param>
    public EncodeFeed(
        ChosenImages images, ImageViews views, ImageCaptions? captions, int smallestSide, int batchImages, OnBadImage onBad, int first,
        CancellationToken cancellation)
    {
        (_images, _views, _captions, _smallestSide, _batchImages) = (images, views, captions, smallestSide, batchImages);
        _stream = new ImageStream(images, onBad, lookAhead: Math.Max(batchImages, 2 * Environment.ProcessorCount));
        _stop = CancellationTokenSource.CreateLinkedTokenSource(cancellation);
        _work = Task.Run(() => FillAsync(first), CancellationToken.None);
    }

    /// <summary>Seconds of all threads spent on decoding.</summary>
    public double DecodeSeconds => _stream.DecodeSeconds;

    /// <summary>Seconds of all threads spent on cropping and resizing.</summary>
    public double PrepareSeconds => _stream.PrepareSeconds;

    /// <summary>The batches, each to be disposed by the caller. Waits for the next one.</summary>
    /// <exception cref="NextPatch.Core.NextPatchException">An image cannot be read and bad images stop the work; all whole batches before it came
    /// out.</exception>
    public IEnumerable<EncodeBatch> Batches()
    {
        while (_ready.Reader.WaitToReadAsync().AsTask().GetAwaiter().GetResult())
        {
            while (_ready.Reader.TryRead(out var batch))
            {
                yield return batch;
            }
        }

        _work.GetAwaiter().GetResult();
    }

    public void Dispose()
    {
        _stop.Cancel();
        ((Task)_work.ContinueWith(_ => { }, TaskScheduler.Default)).Wait(CancellationToken.None);
        while (_ready.Reader.TryRead(out var batch))
        {
            batch.Dispose();
        }

        _stop.Dispose();
    }

    private async Task FillAsync(int first)
    {
        var imageBytes = _views.Count * _views.Side * _views.Side * 3;
        EncodeBatch? batch = null;
        var listed = 0;
        var skipped = 0;
        try
        {
            foreach (var image in _stream.Read(Prepare, first, _stop.Token))
            {
                batch ??= new EncodeBatch(_batchImages, imageBytes);
                batch.Add(image.Value.AsSpan(0, imageBytes), image.Label, _captions?.LineOf(image.Index), image.Index >= _images.TrainCount);
                ArrayPool<byte>.Shared.Return(image.Value);
                if (batch.Count == batch.Capacity)
                {
                    await SendAsync(image.Index + 1);
                }
            }

            batch ??= new EncodeBatch(0, imageBytes);
            await SendAsync(_images.Count);
        }
        finally
        {
            batch?.Dispose();
            _ready.Writer.Complete();
        }

        byte[] Prepare(RgbImage image, int place)
        {
            if (Math.Min(image.Width, image.Height) < _smallestSide)
            {
                throw new NextPatchException(
                    $"'{_images.PathOf(place)}' is too small: {image.Width}x{image.Height}, and SmallestSide is {_smallestSide}.")
                { Settings = ["SmallestSide"] };
            }

            var views = ArrayPool<byte>.Shared.Rent(imageBytes);
            _views.Write(image, views.AsSpan(0, imageBytes));
            return views;
        }

        async Task SendAsync(int next)
        {
            (batch.Next, batch.SkippedCount, batch.Skipped) = (next, _stream.SkippedCount - skipped, [.. _stream.Skipped.Skip(listed)]);
            (skipped, listed) = (_stream.SkippedCount, _stream.Skipped.Count);
            await _ready.Writer.WriteAsync(batch, _stop.Token);
            batch = null;
        }
    }
}
