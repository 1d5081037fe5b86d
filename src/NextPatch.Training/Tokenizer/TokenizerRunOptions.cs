using NextPatch.Training.Runs;

namespace NextPatch.Training.Tokenizer;

/// <summary>What surrounds a tokenizer's run without changing what it computes.</summary>
public sealed record TokenizerRunOptions : RunOptions
{
    /// <summary>Steps between calls of <see cref="OnGrid"/>; 0 = only at the end.</summary>
    public long GridEvery { get; init; }

    /// <summary>Share of the codebook in use below which the run says so.</summary>
    public double UsageAlarm { get; init; } = 0.5;

    /// <summary>Draws a grid; receives the step, and some held-out images and their reconstructions, uint8 [n, S, S, 3].</summary>
    public Action<long, ReadOnlyMemory<byte>, ReadOnlyMemory<byte>>? OnGrid { get; init; }

    /// <summary>Receives every line of metrics.</summary>
    public Action<TokenizerRunProgress>? OnProgress { get; init; }
}
