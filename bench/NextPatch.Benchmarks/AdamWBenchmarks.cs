using BenchmarkDotNet.Attributes;
using NextPatch.Core.Configuration;
using TorchSharp.Modules;
using static TorchSharp.torch;

namespace NextPatch.Benchmarks;

/// <summary>Clipping, AdamW and the EMA over 20 M parameters, against TorchSharp's AdamW with its own clipping and an average by hand.</summary>
public class AdamWBenchmarks
{
    private readonly List<Parameter> _parameters = [];
    private readonly List<Tensor> _gradients = [];
    private readonly List<Tensor> _averages = [];
    private Training.Optimization.AdamW _own = null!;
    private optim.Optimizer _torch = null!;

    [GlobalSetup]
    public void Setup()
    {
        for (var i = 0; i < 20; i++)
        {
            _parameters.Add(new Parameter(randn(1024, 1024)));
            _gradients.Add(randn(1024, 1024));
            _averages.Add(zeros(1024, 1024));
        }

        _own = new Training.Optimization.AdamW(_parameters.Select((p, i) => ($"p{i}", p)), new TrainingConfig());
        _torch = optim.AdamW(_parameters, 1e-4, 0.9, 0.95, weight_decay: 0.05);
    }

    [IterationSetup]
    public void GiveGradients()
    {
        for (var i = 0; i < _parameters.Count; i++)
        {
            using var gradient = _gradients[i].clone();
            _parameters[i].grad = gradient;
        }
    }

    [Benchmark(Baseline = true)]
    public void TorchSharp()
    {
        using var scope = NewDisposeScope();
        nn.utils.clip_grad_norm_(_parameters, 1.0);
        _torch.step();
        using var noGrad = no_grad();
        for (var i = 0; i < _parameters.Count; i++)
        {
            _averages[i].mul_(0.9999).add_(_parameters[i], alpha: 0.0001);
        }
    }

    [Benchmark]
    public void Fused() => _own.Step(1e-4, _own.GradientNorm());
}
