using BenchmarkDotNet.Attributes;
using NextPatch.Torch.Patches;
using TorchSharp.Modules;
using static TorchSharp.torch;

namespace NextPatch.Benchmarks;

/// <summary>Output head and patch loss with their gradients, against the published way: logits repeated P times and kept.</summary>
public class PatchLossBenchmarks
{
    private const int Batch = 4;
    private const int Width = 768;
    private const int Vocabulary = 16384;
    private Tensor _hidden = null!;
    private Tensor _targets = null!;
    private Parameter _head = null!;

    /// <summary>Patch side of a 16x16 grid.</summary>
    [Params(1, 2, 4)]
    public int PatchSide { get; set; }

    private int CodesPerPatch => PatchSide * PatchSide;

    [GlobalSetup]
    public void Setup()
    {
        var patches = 256 / CodesPerPatch;
        _hidden = randn(Batch, patches, Width).requires_grad_();
        _head = new Parameter(randn(Vocabulary, Width) * 0.02);
        _targets = randint(Vocabulary, [Batch, patches, CodesPerPatch], ScalarType.Int64);
    }

    [Benchmark(Baseline = true)]
    public void RepeatedLogits()
    {
        using var scope = NewDisposeScope();
        var logits = nn.functional.linear(_hidden, _head).unsqueeze(2).repeat(1, 1, CodesPerPatch, 1);
        nn.functional.cross_entropy(logits.view(-1, Vocabulary), _targets.view(-1)).backward();
        Clear();
    }

    [Benchmark]
    public void Chunked()
    {
        using var scope = NewDisposeScope();
        PatchLoss.Backward(_hidden, _head, _targets);
        Clear();
    }

    private void Clear()
    {
        _hidden.grad = null;
        _head.grad = null;
    }
}
