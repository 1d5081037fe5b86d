namespace NextPatch.Core.Configuration;

/// <summary>What <c>state.json</c> of a checkpoint holds: where the run stood. Everything else about "when" follows from the step.</summary>
public sealed record RunState
{
    public int FormatVersion { get; init; } = 1;

    /// <summary>Optimiser steps done.</summary>
    public required long Step { get; init; }

    /// <summary>Images seen.</summary>
    public required long Images { get; init; }

    /// <summary>Seconds spent in training steps, by stage index, over all sessions of the run.</summary>
    public required IReadOnlyList<double> StageSeconds { get; init; }
}
