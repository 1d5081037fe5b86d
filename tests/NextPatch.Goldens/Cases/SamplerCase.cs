using System.Text.Json.Nodes;
using NextPatch.Core.Configuration;

namespace NextPatch.Goldens.Cases;

/// <summary>
/// Steps per epoch. Data order and resuming are ours by design: a seekable permutation, and a resume that continues where it stopped.
/// </summary>
internal static class SamplerCase
{
    public static void Run(CaseRun run)
    {
        var root = run.Golden.Json(run.Golden.FileEnding(".json"));
        foreach (var item in root["steps_per_epoch"] as JsonArray ?? [])
        {
            var config = new TrainingConfig { BatchSize = (int)item!["global_batch_size"]! };
            run.Same($"steps of {item["n"]} images", config.StepsPerEpoch((long)item["n"]!), (long)item["scheduler_steps_per_epoch"]!);
        }

        foreach (var item in root["resume"] as JsonArray ?? [])
        {
            var config = new TrainingConfig { BatchSize = (int)item!["global_batch_size"]! };
            run.Same($"steps of {item["dataset_len"]} images", config.StepsPerEpoch((long)item["dataset_len"]!), (long)item["steps_per_epoch"]!);
        }

        run.Incomplete("the data order of torch.randperm and the published resume, which restarts the epoch, are not reproduced");
    }
}
