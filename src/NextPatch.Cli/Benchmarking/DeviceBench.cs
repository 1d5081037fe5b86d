using NextPatch.Core.Configuration;

namespace NextPatch.Cli.Benchmarking;

/// <summary>Times training steps on a device by themselves: products and copies of the processor say nothing there.</summary>
internal sealed class DeviceBench(TrainBenchPlan plan, string device, Action<string> note)
{
    /// <returns>Of each patch side: seconds per image of the parts and of the step, images and FLOPs per second; the fastest round counts.</returns>
    public IReadOnlyList<BenchFigure> Run(CancellationToken cancellation)
    {
        using var step = new OwnStep(plan.Model, plan.Training, plan.Recompute, device);
        var figures = new List<BenchFigure>();
        foreach (var (side, images) in plan.MicroBatches)
        {
            var batch = BenchBatch.Create(plan.Model, side, images);
            StepTimes.Measure(step, batch); // kernels are chosen and memory is taken
            var rounds = new List<StepTimes>();
            for (var round = 0; round < plan.Rounds; round++)
            {
                cancellation.ThrowIfCancellationRequested();
                rounds.Add(StepTimes.Measure(step, batch));
                note($"round {round + 1} of {plan.Rounds}, p={side}: {rounds[^1].Total / images:F4} s/image");
            }

            var fastest = rounds.MinBy(r => r.Total)!;
            var flops = TrainingCost.ForwardFlopsPerImage(plan.Model, side) * 3 * images;
            figures.AddRange(
            [
                new BenchFigure($"p{side}.forward.min", rounds.Min(r => r.Forward) / images, "s/image"),
                new BenchFigure($"p{side}.backward.min", rounds.Min(r => r.Backward) / images, "s/image"),
                new BenchFigure($"p{side}.optimiser.min", rounds.Min(r => r.Optimiser) / images, "s/image"),
                new BenchFigure($"p{side}.step.median", BenchFigure.Median([.. rounds.Select(r => r.Total)]) / images, "s/image"),
                new BenchFigure($"p{side}.images", images / fastest.Total, "images/s"),
                new BenchFigure($"p{side}.flops", flops / fastest.Total, "FLOP/s"),
            ]);
        }

        return figures;
    }
}
