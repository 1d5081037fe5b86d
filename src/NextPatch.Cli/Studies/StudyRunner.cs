using System.Diagnostics;
using NextPatch.Cli.Rendering;
using NextPatch.Core;

namespace NextPatch.Cli.Studies;

/// <summary>Does all pieces of a study, some of them side by side, and says how long the rest will take.</summary>
/// <param name="tasks">In order of preference.</param>
/// <param name="jobs">How many at a time.</param>
/// <param name="progress">The progress line.</param>
internal sealed class StudyRunner(IReadOnlyList<StudyTask> tasks, int jobs, ProgressReporter progress)
{
    private readonly Lock _gate = new();
    private readonly Dictionary<string, (double First, double Now)> _begun = []; // FLOPs of running pieces
    private readonly long _started = Stopwatch.GetTimestamp();
    private double _left = tasks.Where(t => !t.IsDone()).Sum(t => t.Flops); // of pieces that are not done
    private double _finished; // FLOPs that this session spent on pieces that are done
    private int _done = tasks.Count(t => t.IsDone());

    /// <summary>Refuses runs that lie there and are others; nothing was computed then.</summary>
    /// <exception cref="ConfigException">Says what differs.</exception>
    public void RequireSame()
    {
        foreach (var task in tasks)
        {
            task.Run()?.RequireSame();
        }
    }

    /// <summary>Does what is left. What fails stops the other pieces, which keep what they did.</summary>
    /// <param name="work">Does a piece; receives what reports FLOPs done and a line; returns whether it is done.</param>
    /// <param name="onDone">Called after each piece, never twice at a time.</param>
    /// <param name="cancellation">Begins no other piece, and stops those that run.</param>
    /// <returns>Whether all of it is done.</returns>
    public async Task<bool> RunAsync(
        Func<StudyTask, Action<double, string>, CancellationToken, Task<bool>> work, Action onDone, CancellationToken cancellation)
    {
        using var stop = CancellationTokenSource.CreateLinkedTokenSource(cancellation);
        var open = tasks.Where(t => !t.IsDone()).ToList();
        var running = new Dictionary<Task<bool>, StudyTask>();
        while (open.Count + running.Count > 0)
        {
            while (running.Count < jobs && !stop.IsCancellationRequested && open.Find(t => !t.Needs.Any(IsOpen)) is { } next)
            {
                open.Remove(next);
                running.Add(Begin(next), next);
            }

            if (running.Count == 0)
            {
                return false; // stopped
            }

            var ended = await Task.WhenAny(running.Keys);
            running.Remove(ended, out var task);
            try
            {
                if (await ended)
                {
                    Finish(task!);
                    onDone();
                }
                else if (!stop.IsCancellationRequested)
                {
                    throw new NextPatchException($"{task!.Name} ended without being done.");
                }
            }
            catch
            {
                await stop.CancelAsync();
                await Task.WhenAll(running.Keys.Select(r => r.ContinueWith(_ => { }, TaskScheduler.Default)));
                throw;
            }
        }

        return true;

        // Work of this process is done on this thread before it comes back; what it throws is found where the piece is awaited.
        async Task<bool> Begin(StudyTask task) => await work(task, (flops, line) => Report(task, flops, line), stop.Token);

        bool IsOpen(string name) => open.Exists(t => t.Name == name) || running.Values.Any(t => t.Name == name);
    }

    private void Finish(StudyTask task)
    {
        lock (_gate)
        {
            _finished += task.Flops - (_begun.Remove(task.Name, out var begun) ? begun.First : 0);
            _left -= task.Flops;
            _done++;
        }
    }

    private void Report(StudyTask task, double flops, string line)
    {
        lock (_gate)
        {
            _begun[task.Name] = (_begun.TryGetValue(task.Name, out var before) ? before.First : flops, flops);
            var spent = _finished + _begun.Values.Sum(b => b.Now - b.First);
            var seconds = Stopwatch.GetElapsedTime(_started).TotalSeconds;
            var left = (_left - _begun.Values.Sum(b => b.Now)) / spent * seconds;
            var time = spent > 0 && seconds > 5 ? $"; study {Quantity.Duration(Math.Max(left, 0))} left" : "";
            progress.Report("Study", _done, tasks.Count, $"{task.Name}: {line}{time}");
        }
    }
}
