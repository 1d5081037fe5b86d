using System.Diagnostics;

namespace NextPatch.Training.Tokenizer;

/// <summary>Prepares the images of the next steps while one is computed, and counts the seconds that training waited for them.</summary>
internal sealed class ImageReader : IDisposable
{
    private const int Ahead = 2;

    private readonly TokenizerImages _images;
    private readonly int _batchSize;
    private readonly Queue<(long Step, Task<byte[]> Pixels)> _work = [];
    private double _seconds;

    public ImageReader(TokenizerImages images, int batchSize) => (_images, _batchSize) = (images, batchSize);

    /// <summary>The images of a step, uint8 [B, S, S, 3].</summary>
    public byte[] Take(long step)
    {
        var started = Stopwatch.GetTimestamp();
        if (_work.TryPeek(out var first) && first.Step != step)
        {
            Dispose();
        }

        for (var next = step + _work.Count; next <= step + Ahead; next++)
        {
            var place = next * _batchSize;
            _work.Enqueue((next, Task.Run(() => _images.Batch(place, _batchSize))));
        }

        var pixels = _work.Dequeue().Pixels.GetAwaiter().GetResult();
        _seconds += Stopwatch.GetElapsedTime(started).TotalSeconds;
        return pixels;
    }

    /// <summary>Seconds waited since the last call.</summary>
    public double TakeSeconds()
    {
        var seconds = _seconds;
        _seconds = 0;
        return seconds;
    }

    /// <summary>Waits for what is under way: the source may be closed next.</summary>
    public void Dispose()
    {
        while (_work.TryDequeue(out var item))
        {
            ((IAsyncResult)item.Pixels).AsyncWaitHandle.WaitOne();
        }
    }
}
