using System.Diagnostics;

namespace NextPatch.Data.Sources;

/// <summary>Prepares the next batches of a stream on other threads while one is computed, and counts the seconds waited for them.</summary>
/// <param name="read">The batch at places [place, + count) of the stream; called on several threads at once.</param>
/// <param name="ahead">Batches that are prepared beside the one that is asked for.</param>
/// <param name="end">Place behind the stream's last.</param>
/// <param name="cancellation">Keeps batches from being begun.</param>
internal class Prefetcher<T>(Func<long, int, T> read, int ahead, long end = long.MaxValue, CancellationToken cancellation = default) : IDisposable
{
    private readonly Queue<(long Place, int Count, Task<T> Batch)> _work = [];
    private double _seconds;

    /// <summary>The batch at places [<paramref name="place"/>, + <paramref name="count"/>); the next ones are prepared meanwhile.</summary>
    /// <param name="place">Its first place.</param>
    /// <param name="count">Its places.</param>
    /// <param name="following">The batch after it, where one is prepared ahead; null: as many places, right behind it.</param>
    public T Take(long place, int count, (long Place, int Count)? following = null)
    {
        var started = Stopwatch.GetTimestamp();
        if (_work.TryPeek(out var first) && (first.Place, first.Count) != (place, count))
        {
            Dispose();
        }

        while (_work.Count <= ahead)
        {
            var next = _work.Count == 0 ? (Place: place, Count: count) : following ?? (place + ((long)_work.Count * count), count);
            if (next.Place >= end)
            {
                break;
            }

            _work.Enqueue((next.Place, next.Count, Task.Run(() => read(next.Place, next.Count), cancellation)));
        }

        var batch = _work.Dequeue().Batch.GetAwaiter().GetResult();
        _seconds += Stopwatch.GetElapsedTime(started).TotalSeconds;
        return batch;
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
            ((IAsyncResult)item.Batch).AsyncWaitHandle.WaitOne();
        }
    }
}
