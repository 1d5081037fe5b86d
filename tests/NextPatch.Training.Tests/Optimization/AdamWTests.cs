using NextPatch.Core.Configuration;
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
    [InlineData(0.9, true, 1.0)]
    [InlineData(0.9, false, 1.0)]
    [InlineData(0.5, true, 0.0)]
    [InlineData(0.9, true, 5.0)]
    public void Steps_are_those_of_the_formulas(double emaDecay, bool emaWarmup, double clipNorm)
    {
        var config = new TrainingConfig { EmaDecay = emaDecay, EmaWarmup = emaWarmup, ClipNorm = clipNorm, WeightDecay = 0.3 };
        using var matrix = new Parameter(tensor([1.0f, -2, 3, 4], [2, 2]));
        using var vector = new Parameter(tensor([0.5f, -0.5f]));
        var optimizer = new AdamW([("matrix", matrix), ("vector", vector)], config);
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
    [Fact]
    public void Reset_moments_are_those_of_a_new_optimizer()
    {
        var config = new TrainingConfig { EmaDecay = 0 };
        using var old = new Parameter(tensor([1.0f, -2]));
        var optimizer = new AdamW([("p", old)], config);
        for (var n = 0; n < 5; n++)
        {
            Set(old, [n, 3], [2]);
            optimizer.Step(Rate, optimizer.GradientNorm());
        }

        using var detached = old.detach();
        using var fresh = new Parameter(detached.clone());
        var other = new AdamW([("p", fresh)], config);
        optimizer.ResetMoments();
        Assert.Equal(5, optimizer.StepsBeforeMoments);
        for (var n = 0; n < 3; n++)
        {
            foreach (var (parameter, by) in ((Parameter, AdamW)[])[(old, optimizer), (fresh, other)])
            {
                Set(parameter, [0.3, n - 1], [2]);
                by.Step(Rate, by.GradientNorm());
            }
        }

        using var scope = NewDisposeScope();
        Assert.Equal(fresh.detach().data<float>().ToArray(), old.detach().data<float>().ToArray());
        Assert.Equal(8, optimizer.StepCount);
    }

    private static void Set(Parameter parameter, double[] gradient, long[] shape)
    {
        using var values = tensor(Array.ConvertAll(gradient, g => (float)g), shape);
        parameter.grad = values;
    }

    private static void Near(double[] expected, Parameter parameter)
    {
        using var scope = NewDisposeScope();
        var values = parameter.detach().flatten().data<float>().ToArray();
        Assert.Equal(expected, Array.ConvertAll(values, v => (double)v), (a, b) => Math.Abs(a - b) < 2e-5);
    }
}
