using NextPatch.Core.Configuration;
using NextPatch.Torch.Devices;
using NextPatch.Torch.Gpt.Fused;
using TorchSharp;

namespace NextPatch.Cli.Benchmarking;

/// <summary>What is measured.</summary>
/// <param name="Model">Shape of the transformer.</param>
/// <param name="Training">Optimiser settings.</param>
/// <param name="MicroBatches">Images per forward pass, by patch side.</param>
/// <param name="Recompute">Whether activations are computed again in the backward pass.</param>
/// <param name="Rounds">Measured repetitions of everything.</param>
/// <param name="WithBaseline">Whether the published way is measured beside it.</param>
internal sealed record TrainBenchPlan(
    GptConfig Model, TrainingConfig Training, IReadOnlyList<(int Side, int Images)> MicroBatches, bool Recompute, int Rounds, bool WithBaseline);

/// <summary>
/// Times training steps, the bare matrix products of the same shapes, and the step written the published way, one after the other in every
/// round: the machine's mood then hits all of them.
/// </summary>
internal sealed class TrainBench(TrainBenchPlan plan, Action<string> note)
{
    private readonly List<Round>[] _rounds = [.. plan.MicroBatches.Select(_ => new List<Round>())];
    private readonly List<double> _copySpeeds = [];
    private readonly Dictionary<StepPart, double>[] _parts = [.. plan.MicroBatches.Select(_ => new Dictionary<StepPart, double>())];
    private readonly long[] _ownMemory = new long[plan.MicroBatches.Count];
    private readonly long[] _publishedMemory = new long[plan.MicroBatches.Count];
    private double[] _flops = [];

    public IReadOnlyList<BenchFigure> Run(CancellationToken cancellation)
    {
        var batches = plan.MicroBatches.Select(m => BenchBatch.Create(plan.Model, m.Side, m.Images)).ToList();
        var type = plan.Training.Precision == ComputePrecision.Bf16 ? torch.ScalarType.BFloat16 : torch.ScalarType.Float32;
        GemmRoofline Roofline(BenchBatch batch, bool isLibrary) => new(plan.Model, (long)batch.Images * batch.Geometry.PatchCount, type, isLibrary);
        var rooflines = batches.Select(b => Roofline(b, isLibrary: false)).ToList();
        var libraries = TorchGemm.IsPreferredFor(type) ? batches.Select(b => Roofline(b, isLibrary: true)).ToList() : [];
        _flops = [.. rooflines.Select(f => f.Flops)];
        var copy = new CopySpeed();
        using var own = Prepared(
            () => new OwnStep(plan.Model, plan.Training, plan.Recompute, TorchDevices.Cpu), batches, _ownMemory, "the step of this program",
            cancellation);
        using var published = plan.WithBaseline
            ? Prepared(() => new LlamaGenStep(plan.Model, plan.Training), batches, _publishedMemory, "the published way", cancellation)
            : null;
        for (var round = 0; round < plan.Rounds; round++)
        {
            _copySpeeds.Add(copy.Measure());
            for (var i = 0; i < batches.Count; i++)
            {
                cancellation.ThrowIfCancellationRequested();
                var roofline = rooflines[i].Measure();
                own.TakeSeconds();
                var times = StepTimes.Measure(own, batches[i]);
                foreach (var (part, seconds) in own.TakeSeconds())
                {
                    _parts[i][part] = Math.Min(_parts[i].GetValueOrDefault(part, double.MaxValue), seconds);
                }

                _rounds[i].Add(
                    new Round(
                    times, published is null ? null : StepTimes.Measure(published, batches[i]), roofline,
                    libraries.Count == 0 ? null : libraries[i].Measure()));
                note($"round {round + 1} of {plan.Rounds}, p={batches[i].Geometry.PatchSide}: {times.Total / batches[i].Images:F3} s/image, bare "
                    + $"products {roofline.Total / batches[i].Images:F3}");
            }
        }

        rooflines.Concat(libraries).ToList().ForEach(f => f.Dispose());
        return [.. Figures()];
    }

    /// <summary>Makes a step and runs it once per patch side: threads start, buffers are touched, and the memory it adds is seen.</summary>
    private TStep Prepared<TStep>(Func<TStep> create, List<BenchBatch> batches, long[] memory, string what, CancellationToken cancellation)
        where TStep : ITrainStep
    {
        note($"warming up {what}");
        PeakMemory.Reset();
        var before = PeakMemory.Bytes();
        var step = create();
        for (var i = 0; i < batches.Count; i++)
        {
            cancellation.ThrowIfCancellationRequested();
            PeakMemory.Reset();
            StepTimes.Measure(step, batches[i]);
            memory[i] = PeakMemory.Bytes() - before;
        }

        return step;
    }

    private IEnumerable<BenchFigure> Figures()
    {
        for (var i = 0; i < plan.MicroBatches.Count; i++)
        {
            foreach (var figure in FiguresOf(i))
            {
                yield return figure;
            }
        }

        if (plan.MicroBatches is [(1, _), ..])
        {
            foreach (var figure in ScalingFigures())
            {
                yield return figure;
            }
        }

        yield return new BenchFigure("copy.max", _copySpeeds.Max(), "bytes/s");
    }

    private IEnumerable<BenchFigure> FiguresOf(int i)
    {
        var ((side, images), rounds) = (plan.MicroBatches[i], _rounds[i]);
        var passes = rounds.Select(r => r.Roofline.Total).ToArray();
        var bytes = OwnStep.OptimiserBytes(plan.Model, plan.Training);
        (string Part, Func<StepTimes, double> Of, double[]? Roofline)[] parts =
        [
            ("forward", t => t.Forward, null), ("backward", t => t.Backward, null), ("forwardBackward", t => t.Passes, passes),
            ("optimiser", t => t.Optimiser, [.. _copySpeeds.Select(speed => bytes / speed)]), ("step", t => t.Total, passes),
        ];
        foreach (var (part, of, roofline) in parts)
        {
            var own = rounds.Select(r => of(r.Own)).ToArray();
            var published = plan.WithBaseline ? rounds.Select(r => of(r.Published!)).ToArray() : null;
            yield return new BenchFigure(
                $"p{side}.{part}.median", BenchFigure.Median(own) / images, "s/image", published is null
                ? null
                : BenchFigure.Median(published) / images,
                published is null ? null : BenchFigure.Median(own.Zip(published, (a, b) => a / b)),
                    roofline is null ? null : BenchFigure.Median(own.Zip(roofline, (a, f) => f / a)));
            yield return new BenchFigure(
                $"p{side}.{part}.min", own.Min() / images, "s/image", published?.Min() / images, own.Min() / published?.Min(),
                roofline?.Min() / own.Min());
        }

        foreach (var (part, seconds) in _parts[i])
        {
            yield return new BenchFigure(
                $"p{side}.part.{char.ToLowerInvariant(part.ToString()[0])}{part.ToString()[1..]}.min", seconds / images, "s/image");
        }

        yield return new BenchFigure(
            $"p{side}.images", images / rounds.Min(r => r.Own.Total), "images/s", plan.WithBaseline
            ? images / rounds.Min(r => r.Published!.Total)
            : null,
            plan.WithBaseline ? rounds.Min(r => r.Published!.Total) / rounds.Min(r => r.Own.Total) : null);
        yield return new BenchFigure(
            $"p{side}.peakMemory", _ownMemory[i], "bytes", plan.WithBaseline ? _publishedMemory[i] : null,
            plan.WithBaseline ? (double)_ownMemory[i] / _publishedMemory[i] : null);
        (string Product, Func<GemmRoofline.Times, double> Of)[] products =
            [("forward", f => f.Forward), ("inputGradient", f => f.InputGradient), ("weightGradient", f => f.WeightGradient)];
        foreach (var (product, of) in products)
        {
            var (seconds, library) = (rounds.Min(r => of(r.Roofline)), rounds.Min(r => r.Library is { } times ? of(times) : default(double?)));
            yield return new BenchFigure($"p{side}.products.{product}", _flops[i] / seconds, "FLOP/s", _flops[i] / library, library / seconds);
        }
    }

    /// <summary>Cost of an image against patch side 1, whose roofline is that of the FLOPs.</summary>
    private IEnumerable<BenchFigure> ScalingFigures()
    {
        double PerImage(int i, StepTimes t) => t.Passes / plan.MicroBatches[i].Images;
        for (var i = 1; i < plan.MicroBatches.Count; i++)
        {
            var side = plan.MicroBatches[i].Side;
            var planned = TrainingCost.ForwardFlopsPerImage(plan.Model, side) / TrainingCost.ForwardFlopsPerImage(plan.Model, 1);
            var ratios = _rounds[i].Zip(_rounds[0], (a, b) => PerImage(i, a.Own) / PerImage(0, b.Own)).ToArray();
            var minimum = _rounds[i].Min(r => PerImage(i, r.Own)) / _rounds[0].Min(r => PerImage(0, r.Own));
            var median = BenchFigure.Median(ratios);
            yield return new BenchFigure($"p{side}.ofP1.median", median, "p=1 images", planned, median / planned);
            yield return new BenchFigure($"p{side}.ofP1.min", minimum, "p=1 images", planned, minimum / planned);
        }
    }

    /// <summary>What one round saw of one patch side; <paramref name="Library"/> where the products are not libtorch's.</summary>
    private sealed record Round(StepTimes Own, StepTimes? Published, GemmRoofline.Times Roofline, GemmRoofline.Times? Library);
}
