using NextPatch.Core.Configuration;
using NextPatch.Core.Tensors;
using NextPatch.Training.Optimization;
using static TorchSharp.torch;
using Parameter = TorchSharp.Modules.Parameter;

namespace NextPatch.Training.Tests.Optimization;

/// <summary>What lies around the kernel: clipping, bias correction, which parameters decay, the warm-up of the average.</summary>
[NoTensorLeaks]
public sealed class AdamWTests
{
    private const int Steps = 25;
    private const double Rate = 0.01;

    [Theory]
    [InlineData(false, 0.9, true, 1.0)]
    [InlineData(false, 0.9, false, 1.0)]
    [InlineData(false, 0.5, true, 0.0)]
    [InlineData(false, 0.9, true, 5.0)]
    [InlineData(true, 0.9, true, 1.0)]
    [InlineData(true, 0.9, false, 1.0)]
    [InlineData(true, 0.5, true, 0.0)]
    [InlineData(true, 0.9, true, 5.0)]
    public void Steps_are_those_of_the_formulas(bool isFlat, double emaDecay, bool emaWarmup, double clipNorm)
    {
        var config = new TrainingConfig { EmaDecay = emaDecay, EmaWarmup = emaWarmup, ClipNorm = clipNorm, WeightDecay = 0.3 };
        using var matrix = new Parameter(tensor([1.0f, -2, 3, 4], [2, 2]));
        using var vector = new Parameter(tensor([0.5f, -0.5f]));
        var optimizer = Create(isFlat, config, ("vector", vector), ("matrix", matrix)); // matrices are not first
        using var owned = optimizer as IDisposable;
        double[][] weights = [[1, -2, 3, 4], [0.5, -0.5]];
        double[][] first = [new double[4], new double[2]], second = [new double[4], new double[2]];
        double[][] average = [[.. weights[0]], [.. weights[1]]];
        for (var n = 0; n < Steps; n++)
        {
            double[][] gradients = [[.. Enumerable.Range(0, 4).Select(i => (double)(float)Math.Sin((n * 4) + i))],
                [.. Enumerable.Range(0, 2).Select(i => (double)(float)(Math.Cos((n * 2) + i) * 3))]];
            Set(matrix, gradients[0], [2, 2]);
            Set(vector, gradients[1], [2]);
            var norm = optimizer.GradientNorm();
            Assert.Equal(Math.Sqrt(gradients.Sum(g => g.Sum(v => v * v))), norm, 1e-6);
            optimizer.Step(Rate, norm);

            var clip = clipNorm > 0 ? Math.Min(1, clipNorm / (norm + 1e-6)) : 1;
            var decay = emaWarmup ? Math.Min(emaDecay, (1.0 + n) / (10 + n)) : emaDecay;
            for (var p = 0; p < 2; p++)
            {
                for (var i = 0; i < weights[p].Length; i++)
                {
                    var gradient = gradients[p][i] * clip;
                    first[p][i] = (first[p][i] * config.Beta1) + (gradient * (1 - config.Beta1));
                    second[p][i] = (second[p][i] * config.Beta2) + (gradient * gradient * (1 - config.Beta2));
                    var step = first[p][i] / (1 - Math.Pow(config.Beta1, n + 1))
                        / (Math.Sqrt(second[p][i] / (1 - Math.Pow(config.Beta2, n + 1))) + config.AdamEpsilon);
                    weights[p][i] = (weights[p][i] * (p == 0 ? 1 - (Rate * config.WeightDecay) : 1)) - (Rate * step);
                    average[p][i] = (average[p][i] * decay) + (weights[p][i] * (1 - decay));
                }
            }

            // Steps hardly feel the scale of gradients; moments do.
            var moments = optimizer.CaptureMoments().ToDictionary(a => a.Key, a => a.Value.ToDoubles());
            Assert.Equal(first[0], moments["exp_avg.matrix"], (a, b) => Math.Abs(a - b) < 2e-6);
            Assert.Equal(first[1], moments["exp_avg.vector"], (a, b) => Math.Abs(a - b) < 2e-6);
            var kept = optimizer.CaptureAverage().ToDictionary(a => a.Key, a => a.Value.ToDoubles());
            Near(weights[0], matrix);
            Near(weights[1], vector);
            Assert.Equal(average[0], kept["matrix"], (a, b) => Math.Abs(a - b) < 2e-5);
            Assert.Equal(average[1], kept["vector"], (a, b) => Math.Abs(a - b) < 2e-5);
        }

        Assert.Equal(Steps, optimizer.StepCount);
    }

    /// <summary>What follows is what a new optimiser does, bias correction among it; only the average's warm-up goes on.</summary>
    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public void Reset_moments_are_those_of_a_new_optimizer(bool isFlat)
    {
        var config = new TrainingConfig { EmaDecay = 0 };
        using var old = new Parameter(tensor([1.0f, -2]));
        var optimizer = Create(isFlat, config, ("p", old));
        using var owned = optimizer as IDisposable;
        for (var n = 0; n < 5; n++)
        {
            Set(old, [n, 3], [2]);
            optimizer.Step(Rate, optimizer.GradientNorm());
        }

        using var detached = old.detach();
        using var fresh = new Parameter(detached.clone());
        var other = Create(isFlat, config, ("p", fresh));
        using var otherOwned = other as IDisposable;
        optimizer.ResetMoments();
        Assert.Equal(5, optimizer.StepsBeforeMoments);
        for (var n = 0; n < 3; n++)
        {
            foreach (var (parameter, by) in ((Parameter, IOptimizer)[])[(old, optimizer), (fresh, other)])
            {
                Set(parameter, [0.3, n - 1], [2]);
                by.Step(Rate, by.GradientNorm());
            }
        }

        using var scope = NewDisposeScope();
        Assert.Equal(fresh.detach().data<float>().ToArray(), old.detach().data<float>().ToArray());
        Assert.Equal(8, optimizer.StepCount);
    }

    /// <summary>Restored, swapped twice, its codes restarted: the flat optimiser is the other one, and what one stored the other reads.</summary>
    [Fact]
    public void Flat_and_managed_optimizer_keep_the_same()
    {
        var config = new TrainingConfig { EmaDecay = 0.9, EmaWarmup = false };
        Parameter Table() => new(tensor(Enumerable.Range(0, 12).Select(i => (float)i).ToArray(), [4, 3]));
        using Parameter first = Table(), second = Table();
        using var flat = new FlatAdamW([("table", second)], config);
        IOptimizer[] both = [new AdamW([("table", first)], config), flat];
        Assert.All(both, o => Assert.True(o.HasAverage));
        Dictionary<string, HostTensor> moments = new()
        {
            ["exp_avg.table"] = HostTensor.FromSingles([4, 3], [.. Enumerable.Range(0, 12).Select(i => i / 8f)]),
            ["exp_avg_sq.table"] = HostTensor.FromSingles([4, 3], [.. Enumerable.Range(0, 12).Select(i => i / 4f)]),
        };
        Dictionary<string, HostTensor> average = new()
        {
            ["table"] = HostTensor.FromSingles([4, 3], [.. Enumerable.Range(0, 12).Select(i => -i / 2f)]),
        };
        foreach (var optimizer in both)
        {
            optimizer.Restore(moments, average, 7, "a test", 2);
            Assert.Equal((7, 2), (optimizer.StepCount, optimizer.StepsBeforeMoments));
            optimizer.SwapAverage();
            Assert.Equal([.. Enumerable.Range(0, 12).Select(i => (float)i)], optimizer.CaptureAverage().Single().Value.ToSingles());
            optimizer.SwapAverage();
            optimizer.RestartRows("table", [1, 3]);
        }

        Assert.Equal([0, -0.5f, -1, 3, 4, 5, -3, -3.5f, -4, 9, 10, 11], both[1].CaptureAverage().Single().Value.ToSingles());
        Assert.Equal([0, 0.125f, 0.25f, 0, 0, 0, 0.75f, 0.875f, 1, 0, 0, 0], both[1].CaptureMoments().First().Value.ToSingles());
        Assert.Equal(both[0].CaptureAverage().Single().Value.ToSingles(), both[1].CaptureAverage().Single().Value.ToSingles());
        Assert.Equal(both[0].CaptureMoments().Last().Value.ToSingles(), both[1].CaptureMoments().Last().Value.ToSingles());
        Assert.Throws<NextPatch.Core.DataFormatException>(() => both[1].Restore(average, average, 7, "a test"));
    }

    /// <summary>Sums of squares go by rows of 65,536: none may be lost behind the last whole one.</summary>
    [Fact]
    public void A_flat_norm_counts_every_element()
    {
        using var parameter = new Parameter(zeros(3, 70_001));
        using var optimizer = new FlatAdamW([("p", parameter)], new TrainingConfig());
        using var gradient = parameter.grad!;
        gradient.bytes[^1] = 0x40; // of the last float: 2
        Assert.Equal(2, optimizer.GradientNorm());
        optimizer.DropGradients();
        Assert.Equal(0, optimizer.GradientNorm());
    }

    private static IOptimizer Create(bool isFlat, TrainingConfig config, params (string, Parameter)[] parameters)
        => isFlat ? new FlatAdamW(parameters, config) : new AdamW(parameters, config);

    /// <summary>Adds to a gradient where there is one, as the backward pass does.</summary>
    private static void Set(Parameter parameter, double[] gradient, long[] shape)
    {
        using var scope = NewDisposeScope();
        var values = tensor(Array.ConvertAll(gradient, g => (float)g), shape);
        if (parameter.grad is { } own)
        {
            own.add_(values);
        }
        else
        {
            parameter.grad = values;
        }
    }

    private static void Near(double[] expected, Parameter parameter)
    {
        using var scope = NewDisposeScope();
        var values = parameter.detach().flatten().data<float>().ToArray();
        Assert.Equal(expected, Array.ConvertAll(values, v => (double)v), (a, b) => Math.Abs(a - b) < 2e-5);
    }
}
