using System.Text.Json.Nodes;
using NextPatch.Core.Configuration;

namespace NextPatch.Goldens.Cases;

/// <summary>Training settings as the manifest writes them.</summary>
internal static class TrainingItem
{
    /// <summary>Schedule settings; one image per step, so that an epoch's images are its steps.</summary>
    public static TrainingConfig Schedule(JsonNode item) => new()
    {
        BatchSize = 1,
        Epochs = (int)item["epochs"]!,
        PatchLevel = (int)item["patch_level"]!,
        StageRate = (double)item["epoch_rate"]!,
        WarmupEpochs = (double)item["warmup_epochs"]!,
        DecayRatio = (double)item["decay_ratio"]!,
        LearningRate = (double)item["lr"]!,
        EndLearningRate = (double)item["end_lr"]!,
    };
}
