using System.Diagnostics;

namespace NextPatch.Training.Gpt;

/// <summary>Reads the next micro-batch of the stream while the one before is computed, and counts the seconds that training waited for data.</summary>
internal sealed class BatchReader : IDisposable
{
    private readonly BatchSource _source;
    private readonly int _codesPerImage;
    private Task<Batch>? _next;
    private double _seconds;

    public BatchReader(BatchSource source, int codesPerImage) => (_source, _codesPerImage) = (source, codesPerImage);

    /// <summary>The images at places [<paramref name="place"/>, + <paramref name="count"/>); the next as many are read meanwhile.</summary>
    public Batch Take(long place, int count)
    {
        var started = Stopwatch.GetTimestamp();
        var ready = _next?.GetAwaiter().GetResult();
        var batch = ready is not null && ready.Place == place && ready.Labels.Length == count ? ready : Read(place, count);
        _next = Task.Run(() => Read(place + count, count));
        _seconds += Stopwatch.GetElapsedTime(started).TotalSeconds;
        return batch;
    }

    /// <summary>Seconds waited for data since the last call.</summary>
    public double TakeSeconds()
    {
        var seconds = _seconds;
        _seconds = 0;
        return seconds;
    }

    /// <summary>Waits for the read that is under way: the codes may be unmapped next.</summary>
    public void Dispose()
    {
        if (_next is not null)
        {
            ((IAsyncResult)_next).AsyncWaitHandle.WaitOne();
            _next = null;
        }
    }

    private Batch Read(long place, int count)
    {
        var (codes, labels) = (new long[(long)count * _codesPerImage], new long[count]);
        _source.Fill(place, codes, labels);
        return new Batch(place, codes, labels);
    }

    /// <param name="Place">Place of the first image in the stream.</param>
    /// <param name="Codes">[n, T].</param>
    /// <param name="Labels">[n].</param>
    public sealed record Batch(long Place, long[] Codes, long[] Labels);
}
