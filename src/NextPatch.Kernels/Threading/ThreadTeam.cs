using System.Runtime.ExceptionServices;

namespace NextPatch.Kernels.Threading;

/// <summary>
/// Threads that stay together for work in many short phases, some microseconds each. Between phases they spin briefly, then sleep: a busy machine
/// gets its cores back, and a phase never waits for a thread that has not begun on it.
/// </summary>
/// <remarks>One caller at a time; it works as well. Nothing is allocated per phase.</remarks>
internal sealed class ThreadTeam : IDisposable
{
    /// <summary>Turns of waiting before a thread sleeps: about 50 microseconds, some times what waking one costs.</summary>
    private const int Spins = 1000;

    private readonly Thread[] _workers;
    private readonly object _gate = new();
    private Action<int, int>? _part;
    private long _ticket; // phase << 32 | parts that nobody has taken
    private int _parts;
    private int _unfinished;
    private int _sleepers;
    private int _callerSleeps;
    private volatile bool _isEnding;
    private Exception? _failure;

    /// <param name="threads">How many work, the caller included.</param>
    public ThreadTeam(int threads)
    {
        _workers = new Thread[Math.Max(threads, 1) - 1];
        for (var i = 0; i < _workers.Length; i++)
        {
            var worker = i + 1;
            _workers[i] = new Thread(() => Work(worker)) { IsBackground = true, Name = $"NextPatch {worker}" };
            _workers[i].Start();
        }
    }

    /// <summary>Threads, the caller included.</summary>
    public int Size => _workers.Length + 1;

    /// <summary>Runs all parts and returns when they are done.</summary>
    /// <param name="parts">Their number; each thread takes the next one, so unequal parts and disturbed threads even out.</param>
    /// <param name="part">Gets a part's number and that of the thread, 0 to <see cref="Size"/> - 1.</param>
    public void Run(int parts, Action<int, int> part)
    {
        if (parts <= 1 || _workers.Length == 0)
        {
            for (var i = 0; i < parts; i++)
            {
                part(i, 0);
            }

            return;
        }

        _part = part;
        (_parts, _unfinished) = (parts, parts);
        Interlocked.Exchange(ref _ticket, (((_ticket >> 32) + 1) << 32) | (uint)parts);
        if (Volatile.Read(ref _sleepers) > 0)
        {
            lock (_gate)
            {
                Monitor.PulseAll(_gate);
            }
        }

        TakeParts(0);
        AwaitOthers();
        if (Interlocked.Exchange(ref _failure, null) is { } failure)
        {
            ExceptionDispatchInfo.Throw(failure);
        }
    }

    public void Dispose()
    {
        _isEnding = true;
        lock (_gate)
        {
            Monitor.PulseAll(_gate);
        }

        foreach (var worker in _workers)
        {
            worker.Join();
        }
    }

    private void Work(int worker)
    {
        while (AwaitParts())
        {
            TakeParts(worker);
        }
    }

    private void TakeParts(int worker)
    {
        var done = 0;
        for (var ticket = Volatile.Read(ref _ticket); (uint)ticket > 0; ticket = Volatile.Read(ref _ticket))
        {
            if (Interlocked.CompareExchange(ref _ticket, ticket - 1, ticket) == ticket)
            {
                // The phase cannot end before this part is counted, so its fields stay.
                Do(_parts - (int)(uint)ticket, worker);
                done++;
            }
        }

        if (done > 0 && Interlocked.Add(ref _unfinished, -done) == 0 && worker > 0 && Volatile.Read(ref _callerSleeps) != 0)
        {
            lock (_gate)
            {
                Monitor.PulseAll(_gate);
            }
        }
    }

    private void Do(int part, int worker)
    {
        try
        {
            _part!(part, worker);
        }
        catch (Exception e)
        {
            Interlocked.CompareExchange(ref _failure, e, null);
        }
    }

    /// <returns>False when the team ends.</returns>
    private bool AwaitParts()
    {
        for (var i = 0; i < Spins; i++)
        {
            if ((uint)Volatile.Read(ref _ticket) > 0 || _isEnding)
            {
                return !_isEnding;
            }

            Thread.SpinWait(1);
        }

        lock (_gate)
        {
            Interlocked.Increment(ref _sleepers);
            while ((uint)Volatile.Read(ref _ticket) == 0 && !_isEnding)
            {
                Monitor.Wait(_gate);
            }

            Interlocked.Decrement(ref _sleepers);
        }

        return !_isEnding;
    }

    private void AwaitOthers()
    {
        for (var i = 0; i < Spins; i++)
        {
            if (Volatile.Read(ref _unfinished) == 0)
            {
                return;
            }

            Thread.SpinWait(1);
        }

        lock (_gate)
        {
            Interlocked.Exchange(ref _callerSleeps, 1);
            while (Volatile.Read(ref _unfinished) != 0)
            {
                Monitor.Wait(_gate);
            }

            _callerSleeps = 0;
        }
    }
}
