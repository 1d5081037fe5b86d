using NextPatch.Training.Runs;

namespace NextPatch.Training.Tokenizer;

/// <summary>How a tokenizer's run ended.</summary>
/// <param name="Step">Steps done.</param>
/// <param name="IsComplete">False when it was cancelled.</param>
/// <param name="Checkpoint">The newest checkpoint's folder.</param>
/// <param name="Seconds">Seconds in training steps over all sessions (judging, grids and checkpoints excluded).</param>
/// <param name="SkippedSteps">Steps that were not taken, because a loss or gradient was not finite.</param>
/// <param name="HeldOut">Held-out images with the weights that are left in the run's folder; null when cancelled or without such images.</param>
public sealed record TokenizerRunResult(
    long Step, bool IsComplete, string? Checkpoint, double Seconds, long SkippedSteps, TokenizerValidation? HeldOut);

/// <summary>What surrounds a tokenizer's run without changing what it computes.</summary>
public sealed record TokenizerRunOptions : RunOptions
{
    /// <summary>Steps between calls of <see cref="OnGrid"/>; 0 = only at the end.</summary>
    public long GridEvery { get; init; }

    /// <summary>
    /// What computes: <c>cpu</c>, <c>cuda</c>, <c>cuda:1</c>, <c>mps</c>. A run may go on on another one, with the same losses within rounding.
    /// </summary>
    public string Device { get; init; } = "cpu";

    /// <summary>Share of the codebook in use below which the run says so.</summary>
    public double UsageAlarm { get; init; } = 0.5;

    /// <summary>Draws a grid; receives the step, and some held-out images and their reconstructions, uint8 [n, S, S, 3].</summary>
    public Action<long, ReadOnlyMemory<byte>, ReadOnlyMemory<byte>>? OnGrid { get; init; }

    /// <summary>Receives every line of metrics.</summary>
    public Action<TokenizerRunProgress>? OnProgress { get; init; }
}
