using NextPatch.Cli.Rendering;
using Spectre.Console;

namespace NextPatch.Cli.Planning;

/// <summary>What people see of a plan.</summary>
internal static class PlanScreen
{
    private const int WideTable = 130;
    private const double MuchWaiting = 0.25;

    /// <summary>Writes it.</summary>
    public static void Show(IAnsiConsole console, RunPlan plan)
    {
        console.WriteLine(
            $"Preset {plan.Preset} ({plan.ParameterCount:N0} parameters), recipe {plan.Recipe}, batch {plan.BatchSize}, {plan.TotalSteps:N0} "
            + $"steps{(plan.DatasetImages is { } n ? $" on {n:N0} images" : "")}");
        console.Write(StageTable(plan, console.Profile.Width));
        console.WriteLine(
            $"Relative cost: {plan.RelativeCost:0.####} as the paper counts it (share of steps / p^2), {plan.RelativeFlops:0.####} in FLOPs with "
            + $"attention. 1 = next-token training on as many images.");
        console.WriteLine(
            $"Total: {Quantity.Decimal(plan.TotalFlops, "FLOP")} against {Quantity.Decimal(plan.PlainFlops, "FLOP")} for next-token training.");
        if (plan is { Seconds: { } seconds, PlainSeconds: { } plain, FlopsPerSecond: { } speed })
        {
            console.WriteLine(
                $"Time: {Quantity.Duration(seconds)} against {Quantity.Duration(plain)}, at "
                + $"{Quantity.Decimal(speed, "FLOP")}/s ({plan.FlopsPerSecondSource}).");
        }

        var memory = plan.Memory;
        console.WriteLine(
            $"Memory: {Quantity.Bytes(memory.Total)} at the peak: weights {Quantity.Bytes(memory.Weights)}, gradients "
            + $"{Quantity.Bytes(memory.Gradients)}, moments {Quantity.Bytes(memory.Moments)}, EMA {Quantity.Bytes(memory.Average)}, activations "
            + $"{Quantity.Bytes(memory.Activations)} ({Quantity.Bytes(memory.RecomputedActivations)} with --recompute, less with a smaller "
            + $"--micro-batch).");
        if (plan.OnDevice is { } device)
        {
            console.WriteLine(
                $"On {device.Name ?? "a device"} with {Quantity.Bytes(device.MemoryBytes)}, by the reference step: "
                + $"{Largest(device.MicroBatch)} ({Largest(device.MicroBatchRecomputed)} with --recompute). Reckoned, not run on a GPU.");
        }

        if (plan.OnRanks is { } shared)
        {
            ShowRanks(console, shared, plan.BatchSize);
        }

        foreach (var warning in Warnings(plan, plan.OnDevice?.MemoryBytes ?? GC.GetGCMemoryInfo().TotalAvailableMemoryBytes))
        {
            console.WriteLine("Warning: " + warning);
        }
    }

    /// <summary>What makes a plan useless here.</summary>
    /// <param name="plan">Its time and memory are reckoned already.</param>
    /// <param name="machineBytes">Memory of the machine.</param>
    internal static IEnumerable<string> Warnings(RunPlan plan, long machineBytes)
    {
        if (plan.Memory.Total > machineBytes)
        {
            yield return $"{(plan.OnDevice is null ? "this machine" : "the device")} has {Quantity.Bytes(machineBytes)} of memory, and the run "
                + $"needs {Quantity.Bytes(plan.Memory.Total)}. "
                + (plan.Memory.Recomputed <= machineBytes
                    ? "--recompute makes it fit."
                    : "--recompute alone does not make it fit; take a smaller --micro-batch or preset.");
        }

        if (plan.Seconds > Quantity.SecondsPerYear)
        {
            yield return $"{plan.Seconds / Quantity.SecondsPerYear:0.#} years at this speed: take a smaller preset, fewer steps or a faster machine.";
        }
    }

    private static Table StageTable(RunPlan plan, int width)
    {
        // A narrow terminal has room for two lines of headings and no micro-batches.
        var isWide = width >= WideTable;
        var table = new Table().Border(isWide ? TableBorder.Rounded : TableBorder.None);
        string[] headings = isWide
            ? ["patch side", "tokens", "steps", "epochs", "images", "FLOPs/image", "per image", "of the cost", "micro-batch", "time"]
            : ["patch\nside", "\ntokens", "\nsteps", "\nepochs", "\nimages", "FLOPs\n/image", "per\nimage", "of the\ncost", "\ntime"];
        foreach (var heading in headings)
        {
            var column = new TableColumn(heading).RightAligned();
            table.AddColumn(isWide ? column : column.NoWrap().Padding(0, 0, heading == headings[^1] ? 0 : 2, 0));
        }

        foreach (var stage in plan.Stages)
        {
            table.AddRow([
                $"{stage.PatchSide}", $"{stage.TokensPerImage}", $"{stage.Steps:N0}", stage.Epochs is { } epochs
                    ? $"{epochs:0.##}"
                    : "-", isWide ? $"{stage.Images:N0}" : Quantity.Decimal(stage.Images),
                Quantity.Decimal(stage.FlopsPerImage), $"{stage.RelativeFlopsPerImage:0.####}", $"{stage.RelativeShare:0.####}",
                .. isWide ? [$"{stage.MicroBatch}"] : Array.Empty<string>(), stage.Seconds is { } seconds ? Quantity.Duration(seconds) : "-",
            ]);
        }

        return table;
    }

    private static string Largest(int images) => images == 0 ? "not even one image fits" : $"--micro-batch {images:N0} fits";

    private static void ShowRanks(IAnsiConsole console, RankPlan plan, int batchSize)
    {
        console.WriteLine(
            $"On {plan.Ranks} ranks with {Quantity.Decimal(plan.NetworkBitsPerSecond, "bit")}/s each: {Quantity.Duration(plan.Seconds)}, "
            + $"{Quantity.Bytes(plan.MemoryPerRank)} of memory and {Quantity.Bytes(plan.BytesPerStep)} sent and received by each in a step.");
        foreach (var stage in plan.Stages)
        {
            console.WriteLine(
                $"  p={stage.PatchSide}: a step computes for {Quantity.Duration(stage.ComputeSeconds)} and waits for the network for "
                + $"{Quantity.Duration(stage.WaitSeconds)} ({stage.WaitShare:P0}).");
        }

        if (plan.Ranks > batchSize)
        {
            console.WriteLine($"Warning: a step has {batchSize} images, which {plan.Ranks} ranks cannot share; raise --batch-size.");
        }
        else if (plan.Stages.Any(s => s.WaitShare > MuchWaiting))
        {
            console.WriteLine(
                "Coarse stages wait longest, because their steps are short: --coarse-batch flops or a larger --batch-size makes them longer.");
        }
    }
}
