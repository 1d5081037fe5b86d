using NextPatch.Core.Patches;

namespace NextPatch.Goldens.Cases;

/// <summary>Patch sizes and stage bounds of a level and rate, empty stages included, and the patch size of every epoch.</summary>
internal static class EpochTableCase
{
    public static void Run(CaseRun run)
    {
        foreach (var item in run.Golden.Json(run.Golden.FileEnding(".json")).AsArray())
        {
            var (epochs, level, rate) = ((int)item!["epochs"]!, (int)item["patch_level"]!, (double)item["epoch_rate"]!);
            var what = $"{epochs} epochs, level {level}, rate {rate}:";
            var sides = PatchSchedule.LevelSides(level);
            run.SameList($"{what} patch_sizes", sides.Select(side => side * side), item["patch_sizes"]!.AsArray().Select(n => (int)n!));
            run.SameList($"{what} epoch_range", PatchSchedule.Bounds(epochs, level, rate), item["epoch_range"]!.AsArray().Select(n => (long)n!));
            run.SameList(
                $"{what} patch size of each epoch",
                PatchSchedule.Create(epochs, 1, sides, rate).Stages.Select(s => $"{s.PatchSide * s.PatchSide} x {s.StepCount}"),
                item["patch_size_per_epoch_rle"]!.AsArray().Select(run => $"{run![0]} x {run[1]}"));
        }
    }
}
