using System.Diagnostics;
using System.Globalization;
using NextPatch.Core;
using NextPatch.Core.Checkpoints;
using NextPatch.Core.Files;

namespace NextPatch.Training.Runs;

/// <summary>When a run writes checkpoints, and what happens where the disk does not take one.</summary>
internal sealed class CheckpointSaver
{
    private readonly RunOptions _options;
    private readonly CheckpointFolder _checkpoints;
    private readonly Action<int> _save;
    private long _failedAt;

    /// <param name="options">Interval, number that stays, what to do on a full disk.</param>
    /// <param name="checkpoints">To name the last one.</param>
    /// <param name="save">Writes the checkpoint of the current step; receives how many stay.</param>
    /// <param name="savedStep">Step of the checkpoint the run starts from, 0 without.</param>
    public CheckpointSaver(RunOptions options, CheckpointFolder checkpoints, Action<int> save, long savedStep)
        => (_options, _checkpoints, _save, SavedStep) = (options, checkpoints, save, savedStep);

    /// <summary>Whether a checkpoint that was due is not written yet.</summary>
    public bool IsOwed { get; private set; }

    /// <summary>Step of the last checkpoint.</summary>
    public long SavedStep { get; private set; }

    /// <summary>Writes a checkpoint when one is due or owed.</summary>
    /// <param name="step">Steps done.</param>
    /// <param name="isDoubtful">The last steps were not finite, and the weights may be the reason: checkpoints wait until a step is.</param>
    public void AfterStep(long step, bool isDoubtful)
    {
        var isDue = _options.CheckpointEvery > 0 && step % _options.CheckpointEvery == 0;
        var mayRetry = _failedAt == 0 || Stopwatch.GetElapsedTime(_failedAt) >= _options.RetryInterval;
        IsOwed |= isDue;
        if (!isDoubtful && (isDue || (IsOwed && mayRetry)))
        {
            TrySave(step, _options.KeepLast, "The run goes on and tries again.");
        }
    }

    /// <summary>Writes the last checkpoint of a run that is done, however long the disk takes, or of one that was cancelled, once.</summary>
    /// <exception cref="NextPatchException">It could not be written before <paramref name="cancellation"/>.</exception>
    public void AtEnd(long step, bool isDoubtful, CancellationToken cancellation)
    {
        var keep = isDoubtful ? int.MaxValue : _options.KeepLast;
        var outlook = cancellation.IsCancellationRequested ? "" : "Make room: the run is done, and tries again until it works; Ctrl+C gives up.";
        while (SavedStep != step && !TrySave(step, keep, outlook))
        {
            if (cancellation.WaitHandle.WaitOne(_options.RetryInterval))
            {
                throw new NextPatchException(
                    $"The checkpoint of step {step} could not be written to {_options.Output}. {LastOne()} Make room and continue with Resume.")
                { Settings = ["Resume"] };
            }
        }
    }

    private bool TrySave(long step, int keep, string outlook)
    {
        try
        {
            _save(keep);
        }
        catch (Exception e) when (DiskTrouble.Is(e))
        {
            var failure = $"The checkpoint of step {step.ToString(CultureInfo.InvariantCulture)} could not be written: {e.Message} {LastOne()}";
            if (_options.OnFullDisk == FullDiskAction.Stop)
            {
                throw new NextPatchException($"{failure} Make room and continue with Resume.", e) { Settings = ["Resume"] };
            }

            IsOwed = true;
            _options.OnNote?.Invoke($"{failure} {outlook}");
            _failedAt = Stopwatch.GetTimestamp();
            return false;
        }

        if (_failedAt != 0)
        {
            _options.OnNote?.Invoke($"The checkpoint of step {step} is written; the disk takes checkpoints again.");
        }

        (SavedStep, IsOwed, _failedAt) = (step, false, 0);
        return true;
    }

    private string LastOne() => _checkpoints.All() is [.., var last] ? $"The last checkpoint is {last}." : "There is no checkpoint yet.";
}
