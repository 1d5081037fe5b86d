namespace NextPatch.Training.Runs;

/// <summary>What a run does when a checkpoint cannot be written, mostly because the disk is full. The last checkpoint stays either way.</summary>
public enum FullDiskAction
{
    /// <summary>Train on and try again: with the next checkpoint, after <see cref="RunOptions.RetryInterval"/>, and at the end until it works.</summary>
    Retry,

    /// <summary>End the run with an error.</summary>
    Stop,
}
