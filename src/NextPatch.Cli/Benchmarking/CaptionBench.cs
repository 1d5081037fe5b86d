using NextPatch.Core.Configuration;
using NextPatch.Torch.Gpt;

namespace NextPatch.Cli.Benchmarking;

/// <summary>
/// Times training steps of a model of captions of the published shape (120 condition rows of 2048 features): as this program takes them, with the
/// rows of the longest caption alone, as one key of attention; beside all published rows as keys, and beside the former with a key for each row. All
/// take turns in every round.
/// </summary>
internal sealed class CaptionBench(TrainBenchPlan plan, int tokens, Action<string> note)
{
    private readonly GptConfig _config = plan.Model with
    {
        ClassCount = 1,
        AttentionDropout = 0,
        Text = new TextCondition { FeatureWidth = 2048, TokenCount = 120 },
    };

    public IReadOnlyList<BenchFigure> Run(CancellationToken cancellation)
    {
        using var own = new OwnStep(_config, plan.Training, plan.Recompute);
        using var plain = new OwnStep(_config, plan.Training, plan.Recompute, isPlain: true);
        var figures = new List<BenchFigure>();
        foreach (var (side, images) in plan.MicroBatches)
        {
            var (few, all) = (Batch(side, images, tokens), Batch(side, images, _config.Text!.TokenCount));
            (OwnStep Step, BenchBatch Batch, List<StepTimes> Times)[] ways = [(own, few, []), (plain, few, []), (plain, all, [])];
            for (var round = -1; round < plan.Rounds; round++) // the first one touches memory
            {
                foreach (var (step, batch, times) in ways)
                {
                    cancellation.ThrowIfCancellationRequested();
                    times.Add(StepTimes.Measure(step, batch));
                }
            }

            double[] Seconds(int way) => [.. ways[way].Times.Skip(1).Select(t => t.Total / images)];
            Add(figures, $"caption.p{side}.step", Seconds(0), Seconds(2));
            Add(figures, $"caption.p{side}.oneKey", Seconds(0), Seconds(1));
            note($"p={side}, {images} images, {tokens} tokens: {Seconds(0).Min():F3} s/image; {Seconds(1).Min():F3} with a key for each row; "
                + $"{Seconds(2).Min():F3} with all {_config.Text.TokenCount} rows.");
        }

        return figures;
    }

    private BenchBatch Batch(int side, int images, int rows)
    {
        var width = _config.Text!.FeatureWidth;
        var features = new float[images * rows * width];
        for (var image = 0; image < images; image++)
        {
            var last = features.AsSpan((((image + 1) * rows) - tokens) * width, tokens * width);
            for (var i = 0; i < last.Length; i++)
            {
                last[i] = (float)Math.Sin((i * 0.37) + image);
            }
        }

        return BenchBatch.Create(_config, side, images) with
        {
            Captions = new CaptionBatch(features, [.. Enumerable.Repeat(tokens, images)], new bool[images]),
        };
    }

    private static void Add(List<BenchFigure> figures, string name, double[] seconds, double[] baseline)
    {
        figures.Add(new BenchFigure(
            $"{name}.median", BenchFigure.Median(seconds), "s/image", BenchFigure.Median(baseline),
            BenchFigure.Median(seconds.Zip(baseline, (a, b) => a / b))));
        figures.Add(new BenchFigure($"{name}.min", seconds.Min(), "s/image", baseline.Min(), seconds.Min() / baseline.Min()));
    }
}
