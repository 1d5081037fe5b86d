namespace NextPatch.Training.Tokenizer;

/// <summary>How a tokenizer's run ended.</summary>
/// <param name="Step">Steps done.</param>
/// <param name="IsComplete">False when it was cancelled.</param>
/// <param name="Checkpoint">The newest checkpoint's folder.</param>
/// <param name="Seconds">Seconds in training steps over all sessions (judging, grids and checkpoints excluded).</param>
/// <param name="SkippedSteps">Steps that were not taken, because a loss or gradient was not finite.</param>
/// <param name="HeldOut">Held-out images with the weights that are left in the run's folder; null when cancelled or without such images.</param>
public sealed record TokenizerRunResult(long Step, bool IsComplete, string? Checkpoint, double Seconds, long SkippedSteps, TokenizerValidation? HeldOut);
