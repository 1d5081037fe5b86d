using NextPatch.Torch.Gpt;

namespace NextPatch.Training.Gpt;

/// <summary>What surrounds a run without changing what it computes.</summary>
public sealed record RunOptions
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

    /// <summary>Steps in a row with a loss or gradient that is not finite, each of them skipped, after which the run stops; 1 = the first one.</summary>
    public int StopAfterSkips { get; init; } = 10;

    /// <summary>Whether activations are computed again in the backward pass instead of kept (activation checkpointing): the same numbers, less memory, a third more products.</summary>
    public bool Recompute { get; init; }

    /// <summary>Steps between lines of metrics.</summary>
    public long LogEvery { get; init; } = 20;

    /// <summary>Steps between validations; 0 = only at the end.</summary>
    public long ValidateEvery { get; init; }

    /// <summary>Steps between calls of <see cref="OnSample"/>; 0 = never.</summary>
    public long SampleEvery { get; init; }

    /// <summary>Draws a sample grid; receives the step and the model in evaluation mode.</summary>
    public Action<long, GptModel>? OnSample { get; init; }

    /// <summary>Receives every line of metrics.</summary>
    public Action<TrainingProgress>? OnProgress { get; init; }

    /// <summary>Receives sentences for the person who watches.</summary>
    public Action<string>? OnNote { get; init; }
}
