using System.Diagnostics;
using NextPatch.Core;
using NextPatch.Core.Checkpoints;
using NextPatch.Core.Files;

namespace NextPatch.Training.Runs;

/// <summary>
/// The course of any run: it holds the folder, finds what to continue from, takes steps, skips those that are not finite, speaks, and writes
/// checkpoints. Who derives from it knows what a step is.
/// </summary>
public abstract class TrainingRun : IDisposable
{
    private readonly RunOptions _options;
    private readonly bool _isWriter;
    private FolderLock? _lock;

    /// <param name="options">Folder, intervals.</param>
    /// <param name="isWriter">Whether this process writes; of several that compute a run together one does.</param>
    private protected TrainingRun(RunOptions options, bool isWriter = true)
    {
        (_options, _isWriter) = (options, isWriter);
        Checkpoints = new CheckpointFolder(options.Output);
        Skipped = new SkippedSteps(options.StopAfterSkips, options.OnNote);
    }

    /// <summary>The folder of the run's checkpoints.</summary>
    public CheckpointFolder Checkpoints { get; }

    /// <summary>Steps done, skipped ones included.</summary>
    private protected long Step { get; private set; }

    private protected SkippedSteps Skipped { get; }

    /// <summary>Seconds of the processor in training steps, of all threads and sessions.</summary>
    private protected double CpuSeconds { get; private set; }

    /// <summary>Whether a checkpoint is due that could not be written; of several processes that compute the run any may say so.</summary>
    private protected bool OwesCheckpoint { get; set; }

    private protected abstract long TotalSteps { get; }

    /// <summary>Learning rate of the constant part, for advice.</summary>
    private protected abstract double LearningRate { get; }

    /// <inheritdoc/>
    public virtual void Dispose()
    {
        GC.SuppressFinalize(this);
        _lock?.Dispose(); // null when the constructor failed early
    }

    /// <summary>Takes the run's folder.</summary>
    /// <param name="requireSame">Refuses a checkpoint, given as its folder, of a run with other settings.</param>
    /// <returns>Folder of the checkpoint to continue from; null for a fresh run.</returns>
    private protected string? TakeFolder(Action<string> requireSame)
    {
        _options.RequireWritable();
        _lock = FolderLock.Take(_options.Output, ".lock");
        return ResumePoint.Find(Checkpoints, _options, requireSame);
    }

    /// <summary>Goes on where a checkpoint was written.</summary>
    private protected void Continue(string checkpoint, long step, long skippedSteps, int skippedInARow, double cpuSeconds = 0)
    {
        (Step, CpuSeconds) = (step, cpuSeconds);
        Skipped.Restore(skippedSteps, skippedInARow);
        _options.OnNote?.Invoke($"Resumed from {checkpoint} at step {step} of {TotalSteps}.");
    }

    /// <summary>Whether something that happens every so many steps is due now; 0 = never.</summary>
    private protected bool IsDue(long every) => every > 0 && Step % every == 0;

    /// <summary>Trains to the end or until cancelled; either way the last thing it does is to write a checkpoint.</summary>
    /// <returns>Whether the run is complete.</returns>
    /// <exception cref="NextPatchException">It is, and all of its steps were skipped.</exception>
    private protected bool TakeSteps(CancellationToken cancellation)
    {
        using var log = _isWriter ? new MetricsLog(_options.Output, Step, _options.OnNote) : MetricsLog.Silent;
        log.Events?.AddParameters(Parameters);
        var saver = new CheckpointSaver(_options, Checkpoints, Save, Step);
        var speed = new SpeedWindow();
        BeforeSteps(log, cancellation);
        while (Step < TotalSteps && !cancellation.IsCancellationRequested)
        {
            var (started, cpuStarted) = (Stopwatch.GetTimestamp(), Environment.CpuUsage.TotalTime);
            OwesCheckpoint = saver.IsOwed;
            var problem = TakeStep();
            CpuSeconds += (Environment.CpuUsage.TotalTime - cpuStarted).TotalSeconds;
            AddSeconds(Stopwatch.GetElapsedTime(started).TotalSeconds, speed);
            CountSkips(problem);
            Step++;
            if (problem is null)
            {
                ReportWhenDue(log, speed);
            }
            else
            {
                ReportSkipped(log);
            }

            if (OwesCheckpoint || IsDue(_options.CheckpointEvery))
            {
                WithWriter(() => saver.AfterStep(Step, isDoubtful: problem is not null));
            }

            AfterStep(log, cancellation);
        }

        WithWriter(() => saver.AtEnd(Step, Skipped.InARow > 0, cancellation));
        if (Step >= TotalSteps && Step > 0 && Skipped.Total >= Step)
        {
            throw new NextPatchException(
                $"None of the run's {Step} steps was taken, because no loss was finite: the weights are those it began with, and nothing was learnt. "
                + $"Lower the learning rate ({LearningRate}), raise the warm-up, or begin from other weights.");
        }

        Conclude(log, Step >= TotalSteps, cancellation);
        return Step >= TotalSteps;
    }

    /// <summary>What a session does before its first step.</summary>
    private protected virtual void BeforeSteps(MetricsLog log, CancellationToken cancellation)
    {
    }

    /// <summary>Computes the step that follows <see cref="Step"/> others and takes it where all of it is finite.</summary>
    /// <returns>Null, or the numbers that kept it from being taken: "NaN (gradient norm 3)".</returns>
    private protected abstract string? TakeStep();

    /// <summary>Does what the writing process does alone; of several that compute a run together all call it, and the others wait.</summary>
    private protected virtual void WithWriter(Action action) => action();

    /// <summary>Receives the seconds of a step, taken or not.</summary>
    private protected abstract void AddSeconds(double seconds, SpeedWindow speed);

    /// <summary>Writes down the batch of a step that was not taken, and says where.</summary>
    private protected abstract string DumpBatch();

    /// <summary>Judges held-out images for the next <see cref="Report"/>; false where there are none.</summary>
    private protected abstract bool Validate();

    /// <summary>Writes the line of metrics of the last step, which was taken.</summary>
    private protected abstract void Report(MetricsLog log, SpeedWindow speed);

    /// <summary>Writes the line of a step that was not.</summary>
    private protected abstract void ReportSkipped(MetricsLog log);

    /// <summary>Writes a checkpoint, of which so many stay.</summary>
    private protected abstract void Save(int keep);

    /// <summary>Draws and measures what is due.</summary>
    private protected abstract void AfterStep(MetricsLog log, CancellationToken cancellation);

    /// <summary>What TensorBoard shows as the run's hyperparameters: numbers, texts, flags.</summary>
    private protected abstract IReadOnlyDictionary<string, object> Parameters { get; }

    /// <summary>Judges what came of the run, after its last checkpoint.</summary>
    private protected virtual void Conclude(MetricsLog log, bool isComplete, CancellationToken cancellation)
    {
    }

    private void CountSkips(string? problem)
    {
        if (problem is null)
        {
            Skipped.StepTaken();
            return;
        }

        Skipped.Skip($"The loss of step {Step} is {problem}", DumpBatch, () =>
            $"The last checkpoint from before is {Checkpoints.Latest ?? "none (the run had not reached its first)"}. "
            + $"Lower the learning rate ({LearningRate}) or raise the warm-up, and continue from a checkpoint with InitialWeights.");
    }

    private void ReportWhenDue(MetricsLog log, SpeedWindow speed)
    {
        var isLast = Step == TotalSteps;
        var isValidated = IsDue(_options.ValidateEvery) && !isLast && Validate();
        if (Step == 1 || IsDue(_options.LogEvery) || isLast || isValidated)
        {
            Report(log, speed);
            speed.Reset();
        }
    }
}

/// <summary>Images, tokens and seconds since the last line of metrics.</summary>
internal sealed class SpeedWindow
{
    private long _images;
    private long _tokens;
    private double _seconds;
    private double _waited;

    public double ImagesPerSecond => _images / Math.Max(_seconds, 1e-9);

    public double TokensPerSecond => _tokens / Math.Max(_seconds, 1e-9);

    /// <summary>Share of the time that training waited for data.</summary>
    public double DataWaitShare => _waited / Math.Max(_seconds, 1e-9);

    public void Add(long images, long tokens, double seconds, double waited)
        => (_images, _tokens, _seconds, _waited) = (_images + images, _tokens + tokens, _seconds + seconds, _waited + waited);

    public void Reset() => (_images, _tokens, _seconds, _waited) = (0, 0, 0, 0);
}
