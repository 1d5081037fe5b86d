namespace NextPatch.Evaluation.Networks;

/// <summary>Where a classifier training stands.</summary>
/// <param name="Steps">Steps done in all rounds.</param>
/// <param name="MaximumSteps">Steps if every round runs.</param>
/// <param name="Loss">Cross entropy in nats: of this step, or after a round the mean of its last tenth.</param>
/// <param name="HeldOutAccuracy">Share of held-out images classified right, measured after each round; null in between.</param>
public sealed record ClassifierProgress(int Steps, int MaximumSteps, double Loss, double? HeldOutAccuracy);
