namespace NextPatch.Evaluation.Networks;

/// <summary>Where a classifier training stands after a round.</summary>
/// <param name="Steps">Steps done in all rounds.</param>
/// <param name="Loss">Mean cross entropy of the round's last tenth, nats.</param>
/// <param name="HeldOutAccuracy">Share of held-out images classified right.</param>
public sealed record ClassifierProgress(int Steps, double Loss, double HeldOutAccuracy);
