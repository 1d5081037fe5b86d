namespace NextPatch.Server.Batching;

// Requests that wait for their turn, under the gate.
internal sealed partial class ModelWorker
{
    /// <summary>Seconds after which there may be room in the queue, 1 to 60.</summary>
    public int RetryAfter => (int)Math.Clamp(Math.Ceiling(Volatile.Read(ref _secondsPerImage) * Volatile.Read(ref _waiting) / 2), 1, 60);

    /// <summary>Takes places in the queue for images of a request, which then is added or gives them back.</summary>
    /// <returns>False: too many images wait. A request of any size finds room where none waits.</returns>
    public bool TryReserve(int images)
    {
        lock (_gate)
        {
            if (_isEnding || (_waiting > 0 && _waiting + images > _queueLimit))
            {
                return false;
            }

            _waiting += images;
            return true;
        }
    }

    /// <summary>Gives reserved places back.</summary>
    public void Release(int images)
    {
        lock (_gate)
        {
            _waiting -= images;
        }
    }

    /// <summary>Lets a request wait for its turn in the places that were reserved for it.</summary>
    public void Add(DrawJob job)
    {
        lock (_gate)
        {
            _jobs.Add(job);
            if (_isEnding)
            {
                Remove(job, Stopping());
            }

            Monitor.Pulse(_gate);
        }
    }

    /// <returns>False: the worker ends.</returns>
    private bool AwaitWork()
    {
        lock (_gate)
        {
            while (_jobs.Count == 0 && _running.Count == 0 && !_isEnding)
            {
                Monitor.Wait(_gate);
            }

            return !_isEnding;
        }
    }

    private DrawJob? Next()
    {
        lock (_gate)
        {
            return _jobs.MinBy(job => job.InFlight) is { } job && _batch.HasRoom(job.Request.Sampling) ? job : null;
        }
    }

    /// <summary>Under the gate.</summary>
    private void Remove(DrawJob job, Exception reason)
    {
        _jobs.Remove(job);
        _waiting -= job.Waiting;
        job.Fail(reason);
    }
}
