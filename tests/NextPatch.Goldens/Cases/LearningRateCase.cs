using System.Text.RegularExpressions;

namespace NextPatch.Goldens.Cases;

/// <summary>The learning rate of every step of a run.</summary>
internal static partial class LearningRateCase
{
    public static void Run(CaseRun run)
    {
        var (arrays, tolerance) = (run.Golden.Arrays(), run.Golden.Tolerance("default"));
        foreach (var item in run.Golden.Config["items"]!.AsArray())
        {
            var (name, array) = arrays.Single(
                a => Numbered().Match(a.Key) is { Success: true } m && int.Parse(m.Groups[1].Value) == (int)item!["index"]!);
            var (published, images) = (array.ToDoubles(), (int)item!["steps_per_epoch"]!);
            var config = TrainingItem.Schedule(item);
            var stages = config.CreateSchedule(images);
            var rate = config.CreateLearningRate(stages, images);
            run.Same($"{name} total_steps", stages.TotalSteps, (long)item["total_steps"]!);
            var steps = Math.Min(published.Length, (int)stages.TotalSteps);
            run.Close(name, [.. Enumerable.Range(0, steps).Select(step => rate.At(step))], published[..steps], [steps], tolerance);

            // Past the end the published schedule collapses to lr * lr; ours stays where the run ended.
            var floor = Math.Min(config.LearningRate, config.EndLearningRate) * (1 - 1e-9);
            run.Same($"{name} past the end is not below end_lr",
                Enumerable.Range(steps, published.Length - steps).All(step => rate.At(step) >= floor), true);
        }
    }

    [GeneratedRegex(@"^lr\.(\d+)(__f64)?$")]
    private static partial Regex Numbered();
}
