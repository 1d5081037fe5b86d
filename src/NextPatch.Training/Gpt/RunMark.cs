namespace NextPatch.Training.Gpt;

/// <summary>Where a run stood at a step, and what its weights were worth then.</summary>
/// <param name="Step">Optimiser steps done.</param>
/// <param name="Images">Images seen.</param>
/// <param name="Flops">FLOPs of the training steps, as counted by <c>TrainingCost</c>.</param>
/// <param name="CpuSeconds">Seconds of the processor in training steps, of all threads.</param>
/// <param name="WallSeconds">Seconds in training steps.</param>
/// <param name="Loss">Loss of held-out images at p = 1 with the trained weights, nats per code; null without such images.</param>
/// <param name="EmaLoss">The same with the EMA weights.</param>
/// <param name="Figures">Figures of images that the EMA weights drew, by name.</param>
internal sealed record RunMark(
    long Step, long Images, double Flops, double CpuSeconds, double WallSeconds, double? Loss, double? EmaLoss,
    IReadOnlyDictionary<string, double> Figures);
