using System.Diagnostics;
using System.Runtime.InteropServices;
using NextPatch.Cli.Benchmarking;
using NextPatch.Core.Sampling;
using NextPatch.Evaluation.Metrics;
using static TorchSharp.torch;

namespace NextPatch.Benchmarks.Evaluation;

// Shape letters: N reference rows, M sample rows, D features, C classes.

/// <summary>How much is measured.</summary>
/// <param name="Images">N, of both sets for everything but precision and recall.</param>
/// <param name="ManifoldSamples">M of precision and recall.</param>
/// <param name="Width">D.</param>
/// <param name="Subsets">Subsets of the kernel distance.</param>
/// <param name="SubsetSize">Rows of each.</param>
internal sealed record EvaluateBenchPlan(int Images, int ManifoldSamples, int Width, int Subsets = 100, int SubsetSize = 1000);

/// <summary>Times the metrics on drawn features, beside the bare matrix products without which none of them can be had.</summary>
internal sealed class EvaluateBench(EvaluateBenchPlan plan, Action<string> note)
{
    private const int Classes = 1008;
    private const int BatchRows = 1000;

    public IReadOnlyList<BenchFigure> Run(CancellationToken cancellation)
    {
        using var noGradient = no_grad();
        PeakMemory.Reset();
        note("drawing features");
        var (reference, samples) = (Draw(0, plan.Images, 1), Draw(1, plan.Images, 1.05f));
        var figures = new List<BenchFigure>();
        var (images, width) = ((double)plan.Images, (double)plan.Width);

        double Timed(string name, double flops, ScalarType type, Action action)
        {
            cancellation.ThrowIfCancellationRequested();
            note(name);
            var before = Rate(type);
            var started = Stopwatch.GetTimestamp();
            action();
            var seconds = Stopwatch.GetElapsedTime(started).TotalSeconds;

            // The rate of both sides of the measurement, whichever is higher: other programs on the machine must not raise the roofline.
            var floor = flops / Math.Max(before, Rate(type));
            figures.Add(new BenchFigure(name, seconds, "s", FloorShare: flops > 0 ? floor / seconds : null));
            return seconds;
        }

        var (first, second) = (new FeatureStatistics(plan.Width), new FeatureStatistics(plan.Width));
        var total = Timed("fid.statistics", 2 * images * width * (width + 1), ScalarType.Float64, () =>
        {
            InBatches(reference, first.Add);
            InBatches(samples, second.Add);
        });
        var (distance, score, kernel, manifolds) = (0.0, 0.0, default(KernelDistance), default(PrecisionRecall));
        total += Timed("fid.distance", 0, ScalarType.Float64, () => distance = FrechetDistance.Between(first, second));
        total += Timed("inceptionScore", 2 * images * width * Classes, ScalarType.Float32, () => score = Score(samples));
        figures.Add(new BenchFigure("fidAndInceptionScore", total, "s"));
        Timed("kid", 4.0 * plan.Subsets * plan.SubsetSize * plan.SubsetSize * width, ScalarType.Float64,
            () => kernel = KernelDistance.Compute(reference, samples, plan.Width, 0, plan.Subsets, plan.SubsetSize, cancellation));
        double few = plan.ManifoldSamples;
        Timed("precisionRecall", width * ((images * images) + (few * few) + (2 * images * few)), ScalarType.Float32,
            () => manifolds = PrecisionRecall.Compute(
                reference, samples.AsMemory(0, plan.ManifoldSamples * plan.Width), plan.Width, cancellation: cancellation));

        // What came out, so that the NumPy program beside it can be seen to compute the same.
        figures.AddRange([
            new("fid.value", distance, ""), new("inceptionScore.value", score, ""), new("kid.value", kernel.Mean, ""),
            new("kid.deviation", kernel.StandardDeviation, ""),
            new("precision.value", manifolds.Precision, ""), new("recall.value", manifolds.Recall, "")]);
        figures.Add(new BenchFigure("peakMemory", PeakMemory.Bytes(), "bytes"));
        figures.Add(new BenchFigure("products.float64", Rate(ScalarType.Float64), "FLOP/s"));
        figures.Add(new BenchFigure("products.float32", Rate(ScalarType.Float32), "FLOP/s"));
        return figures;
    }

    private delegate void RowAction(ReadOnlySpan<float> rows);

    private void InBatches(float[] rows, RowAction action)
    {
        for (var at = 0; at < rows.Length; at += BatchRows * plan.Width)
        {
            action(rows.AsSpan(at, Math.Min(BatchRows * plan.Width, rows.Length - at)));
        }
    }

    /// <summary>From features, as the published evaluator does: the product with the network's last layer is part of it.</summary>
    private double Score(float[] features)
    {
        using var outer = NewDisposeScope();
        var weights = tensor(DrawLayer(), [Classes, plan.Width]); // [C, D]
        var score = new InceptionScore(Classes);
        InBatches(features, rows =>
        {
            using var scope = NewDisposeScope();
            var batch = empty(rows.Length / plan.Width, plan.Width);
            rows.CopyTo(MemoryMarshal.Cast<byte, float>(batch.bytes));
            var logits = nn.functional.linear(batch, weights); // [batch, C]
            score.AddLogits(MemoryMarshal.Cast<byte, float>(logits.bytes));
        });
        return score.Compute().Mean;
    }

    /// <summary>Operations per second of a large square product, best of five.</summary>
    private static double Rate(ScalarType type)
    {
        const int Side = 2048;
        using var scope = NewDisposeScope();
        var (a, b, c) = (ones(Side, Side, type), ones(Side, Side, type).t(), zeros(Side, Side, type));
        var best = double.MaxValue;
        for (var run = 0; run < 5; run++)
        {
            var started = Stopwatch.GetTimestamp();
            c.addmm_(a, b, beta: 0f, alpha: 1f);
            best = Math.Min(best, Stopwatch.GetElapsedTime(started).TotalSeconds);
        }

        return 2.0 * Side * Side * Side / best;
    }

    /// <summary>Weights of the last layer: uniform around zero, so that logits have a spread of about 1.</summary>
    private float[] DrawLayer()
    {
        var (random, scale) = (new CounterRandom(2, RandomStream.Evaluation), (float)(16 / Math.Sqrt(plan.Width)));
        return [.. from c in Enumerable.Range(0, Classes) from d in Enumerable.Range(
            0, plan.Width) select scale * ((float)random.Uniform(c, d) - 0.5f)];
    }

    /// <summary>Non-negative and of unequal spread, as pooled activations are.</summary>
    private float[] Draw(ulong seed, int count, float scale)
    {
        var random = new CounterRandom(seed, RandomStream.Evaluation);
        var rows = new float[count * plan.Width];
        Parallel.For(0, count, i =>
        {
            for (var d = 0; d < plan.Width; d++)
            {
                rows[(i * plan.Width) + d] = scale * (float)random.Uniform(i, d) / (1 + (d % 16));
            }
        });
        return rows;
    }
}
