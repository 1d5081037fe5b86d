namespace NextPatch.Training.Runs;

/// <summary>What surrounds any run without changing what it computes: its folder, its checkpoints, when it speaks.</summary>
public abstract record RunOptions
{
    /// <summary>Folder of the run: checkpoints, <c>metrics.jsonl</c>, <c>tensorboard/</c>.</summary>
    public required string Output { get; init; }

    /// <summary>Continue from the newest checkpoint of <see cref="Output"/>, or start where there is none.</summary>
    public bool Resume { get; init; }

    /// <summary>Steps between checkpoints; 0 = only at the end.</summary>
    public long CheckpointEvery { get; init; }

    /// <summary>Checkpoints that stay.</summary>
    public int KeepLast { get; init; } = 3;

    /// <summary>What happens when a checkpoint cannot be written.</summary>
    public FullDiskAction OnFullDisk { get; init; } = FullDiskAction.Retry;

    /// <summary>Time until a checkpoint that could not be written is tried again, where none is due earlier.</summary>
    public TimeSpan RetryInterval { get; init; } = TimeSpan.FromMinutes(1);

    /// <summary>
    /// Steps in a row with a loss or gradient that is not finite, each of them skipped, after which the run stops; 1 = the first one.
    /// </summary>
    public int StopAfterSkips { get; init; } = 10;

    /// <summary>Steps between lines of metrics.</summary>
    public long LogEvery { get; init; } = 20;

    /// <summary>Steps between validations; 0 = only at the end.</summary>
    public long ValidateEvery { get; init; }

    /// <summary>Receives notes for the user, a sentence each.</summary>
    public Action<string>? OnNote { get; init; }

    /// <exception cref="NextPatch.Core.NextPatchException">The folder cannot be made or written.</exception>
    internal void RequireWritable()
    {
        try
        {
            Directory.CreateDirectory(Output);
            var test = Path.Combine(Output, $".write-test-{Path.GetRandomFileName()}"); // a name that nobody else has
            File.WriteAllText(test, "");
            File.Delete(test);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw new NextPatch.Core.NextPatchException($"The run's folder {Output} cannot be written: {e.Message} Choose another with Output.", e)
            { Settings = ["Output"] };
        }
    }
}

/// <summary>What a run does when a checkpoint cannot be written, mostly because the disk is full. The last checkpoint stays either way.</summary>
public enum FullDiskAction
{
    /// <summary>
    /// Train on and try again: with the next checkpoint, after <see cref="RunOptions.RetryInterval"/>, and at the end until it works.
    /// </summary>
    Retry,

    /// <summary>End the run with an error.</summary>
    Stop,
}
