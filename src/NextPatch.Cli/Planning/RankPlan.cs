using NextPatch.Core.Configuration;
using NextPatch.Core.Patches;
using NextPatch.Torch.Gpt.Fused;
using NextPatch.Training.Ranks;

namespace NextPatch.Cli.Planning;

/// <summary>
/// What a run costs on several ranks, each as fast as this machine and with a network connection of its own. The gradients of a bucket travel while
/// those of others are computed; weights travel after the update, when nothing else happens.
/// </summary>
/// <param name="Ranks">How many there are.</param>
/// <param name="NetworkBitsPerSecond">Of each rank's connection, in both directions at once.</param>
/// <param name="BytesPerStep">What a rank sends in a step, and receives.</param>
/// <param name="Stages">By patch stage.</param>
/// <param name="MemoryPerRank">Peak memory in bytes.</param>
/// <param name="Seconds">Of the whole run.</param>
internal sealed record RankPlan(
    int Ranks, double NetworkBitsPerSecond, double BytesPerStep, IReadOnlyList<RankStage> Stages, double MemoryPerRank, double Seconds)
{
    /// <summary>The backward pass is two thirds of a step's products.</summary>
    private const double ShareOfBackward = 2.0 / 3;

    /// <param name="plan">The run on one rank.</param>
    /// <param name="model">The model.</param>
    /// <param name="training">Its settings.</param>
    /// <param name="ranks">How many share each step.</param>
    /// <param name="network">Bits per second.</param>
    /// <param name="bf16Gradients">Whether gradients travel as bf16.</param>
    public static RankPlan Create(RunPlan plan, GptConfig model, TrainingConfig training, int ranks, double network, bool bf16Gradients)
    {
        var sent = model.ParameterCount * (ranks - 1.0) / ranks; // elements
        double Travel(double elements, int size) => elements * size * 8 / network;
        var gradients = Travel(sent, bf16Gradients ? sizeof(ushort) : sizeof(float));
        // The last bucket is ready when the backward pass ends: embeddings, and blocks until it is full.
        var last = gradients * Math.Min(1, (double)ShardedParameters.FloatsPerBucket / model.ParameterCount);
        var weights = Travel(sent, sizeof(float));
        RankStage[] stages = [.. plan.Stages.Select(stage =>
        {
            var computing = stage.Seconds!.Value / stage.Steps / ranks;
            var waiting = Math.Max(last, gradients - (ShareOfBackward * computing)) + weights;
            return new RankStage(stage.PatchSide, stage.Steps, computing, waiting);
        })];
        return new RankPlan(
            ranks, network, sent * ((bf16Gradients ? sizeof(ushort) : sizeof(float)) + sizeof(float)), stages, Memory(plan, model, training, ranks),
            stages.Sum(s => s.Steps * (s.ComputeSeconds + s.WaitSeconds)));
    }

    /// <summary>Moments, EMA and summed gradients are shared; transfers need room for three buckets, sent and received.</summary>
    private static double Memory(RunPlan plan, GptConfig model, TrainingConfig training, int ranks)
    {
        var memory = plan.Memory;
        var rows = training.Sides.Max(side => Math.Min(training.MicroBatchFor(side), Math.Max(1, (long)training.ImagesPerStep(side) / ranks))
            * new PatchGeometry(model.GridSide, side).PatchCount);
        var largest = Math.Max(ShardedParameters.FloatsPerBucket, (long)model.VocabularySize * model.Width) * sizeof(float);
        return memory.Weights + memory.Gradients + ((memory.Gradients + memory.Moments + memory.Average) / ranks)
            + FusedGpt.BytesFor(model, training.Precision, rows, recompute: false)
            + (ShardedParameters.MostUnderWay * 2 * Math.Min(largest, memory.Weights));
    }
}

/// <summary>A step of a stage on several ranks.</summary>
/// <param name="PatchSide">Side p of a patch, in codes.</param>
/// <param name="Steps">Optimiser steps.</param>
/// <param name="ComputeSeconds">Computing, per step.</param>
/// <param name="WaitSeconds">Waiting for the network, per step.</param>
internal sealed record RankStage(int PatchSide, long Steps, double ComputeSeconds, double WaitSeconds)
{
    /// <summary>Part of a step that waits for the network.</summary>
    public double WaitShare => WaitSeconds / (ComputeSeconds + WaitSeconds);
}
