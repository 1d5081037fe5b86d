namespace NextPatch.Cli.Planning;

/// <summary>What one stage of a run will cost.</summary>
/// <param name="PatchSide">Side p of a patch, in codes.</param>
/// <param name="TokensPerImage">Length of the training sequence.</param>
/// <param name="FirstStep">Optimiser step at which the stage begins.</param>
/// <param name="Steps">Optimiser steps.</param>
/// <param name="Epochs">Passes over the images; null where their number is unknown.</param>
/// <param name="Images">Images seen.</param>
/// <param name="FlopsPerImage">Forward and backward.</param>
/// <param name="RelativeFlopsPerImage">Against patch side 1.</param>
/// <param name="RelativeShare">Part of the published relative cost, (share of steps) / p^2.</param>
/// <param name="MicroBatch">Images per forward pass.</param>
/// <param name="Seconds">Estimated duration.</param>
internal sealed record StagePlan(
    int PatchSide, int TokensPerImage, long FirstStep, long Steps, double? Epochs, long Images, double FlopsPerImage, double RelativeFlopsPerImage,
    double RelativeShare, int MicroBatch, double Seconds);
