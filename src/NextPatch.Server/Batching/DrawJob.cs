using System.Diagnostics;
using System.Threading.Channels;
using NextPatch.Core.Generation;
using NextPatch.Core.Imaging;

namespace NextPatch.Server.Batching;

/// <summary>A client's request while it waits and is drawn. The engine thread alone changes it.</summary>
internal sealed class DrawJob
{
    /// <summary>Partial pictures that a slow reader may leave lying; further ones are not made.</summary>
    private const int MostUnread = 4;

    private readonly Channel<DrawnImage> _drawn = Channel.CreateUnbounded<DrawnImage>(new UnboundedChannelOptions { SingleWriter = true });
    private int _unread;

    /// <summary>What to draw; valid.</summary>
    public required GenerationRequest Request { get; set; }

    /// <summary>A square picture whose codes stay outside of <see cref="Mask"/>; null: all codes are drawn.</summary>
    public RgbImage? Picture { get; set; }

    /// <summary>White where codes are drawn, of the picture's size.</summary>
    public RgbImage? Mask { get; init; }

    /// <summary>Numbers of rows after which a partial picture is made.</summary>
    public IReadOnlyCollection<int> PartialRows { get; init; } = [];

    /// <summary>Whether one is made after other rows too, where there is time.</summary>
    public bool ShowsEveryRow { get; init; }

    /// <summary>The client left, or the time is up.</summary>
    public CancellationToken Cancellation { get; init; }

    /// <summary>When it came.</summary>
    public long Arrived { get; } = Stopwatch.GetTimestamp();

    /// <summary>When its first image entered the batch; 0: none has.</summary>
    public long Began { get; private set; }

    /// <summary>Images that entered.</summary>
    public int Entered { get; private set; }

    /// <summary>Images that are being drawn.</summary>
    public int InFlight { get; private set; }

    public int Count => Request.Labels.Count;

    /// <summary>Images that have not entered.</summary>
    public int Waiting => Count - Entered;

    private int Finished { get; set; }

    /// <summary>The pictures as they are drawn, finished ones each once.</summary>
    /// <exception cref="OperationCanceledException">It was cancelled.</exception>
    public IAsyncEnumerable<DrawnImage> ReadAsync(CancellationToken cancellation) => ReadAllAsync(cancellation);

    /// <returns>The place of the next image.</returns>
    public int Enter()
    {
        Began = Began == 0 ? Stopwatch.GetTimestamp() : Began;
        InFlight++;
        return Entered++;
    }

    public bool WantsPartial(int rows, bool hasTime)
        => (PartialRows.Contains(rows) || (ShowsEveryRow && hasTime)) && Volatile.Read(ref _unread) < MostUnread;

    public void ShowPartial(int place, int rows, RgbImage picture)
    {
        Interlocked.Increment(ref _unread);
        _drawn.Writer.TryWrite(new DrawnImage(place, rows, IsFinished: false, picture));
    }

    /// <returns>Whether it was the last image.</returns>
    public bool Finish(int place, int rows, RgbImage picture)
    {
        InFlight--;
        _drawn.Writer.TryWrite(new DrawnImage(place, rows, IsFinished: true, picture));
        if (++Finished < Count)
        {
            return false;
        }

        _drawn.Writer.TryComplete();
        return true;
    }

    /// <summary>Ends it without its images.</summary>
    public void Fail(Exception reason) => _drawn.Writer.TryComplete(reason);

    private async IAsyncEnumerable<DrawnImage> ReadAllAsync(
        [System.Runtime.CompilerServices.EnumeratorCancellation] CancellationToken cancellation)
    {
        await foreach (var drawn in _drawn.Reader.ReadAllAsync(cancellation).ConfigureAwait(false))
        {
            if (!drawn.IsFinished)
            {
                Interlocked.Decrement(ref _unread);
            }

            yield return drawn;
        }
    }
}

/// <summary>What a client gets of an image: a partial picture, or the image.</summary>
/// <param name="Place">Of the image in the request.</param>
/// <param name="Rows">Rows of codes that are drawn.</param>
/// <param name="IsFinished">Whether it is the image.</param>
/// <param name="Picture">The pixels.</param>
internal sealed record DrawnImage(int Place, int Rows, bool IsFinished, RgbImage Picture);
