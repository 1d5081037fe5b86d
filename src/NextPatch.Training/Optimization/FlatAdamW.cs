using System.Runtime.InteropServices;
using NextPatch.Core.Configuration;
using NextPatch.Core.Tensors;
using TorchSharp.Modules;
using static TorchSharp.torch;

namespace NextPatch.Training.Optimization;

/// <summary>
/// The optimiser on any device: all weights lie behind each other in one tensor, and so do gradients, moments and average, so that an update is about
/// ten operations however many parameters there are. Parameters become views of that tensor.
/// </summary>
/// <remarks>The same operations in the same order as <see cref="AdamWKernel"/>, each rounded to float32; sums of squares are formed per 65,536
/// elements in float32, and in double above.</remarks>
internal sealed class FlatAdamW : IOptimizer, IDisposable
{
    private const long RowLength = 1 << 16; // floats whose squares are summed at once; tensors are whole rows
    private const long Alignment = 64;      // floats: kernels and products read whole cache lines

    private readonly TrainingConfig _config;
    private readonly Slot[] _slots;
    private readonly long _decayed; // matrices lie first
    private readonly Tensor _weights;
    private readonly Tensor _gradients; // between steps room for what an operation needs
    private readonly Tensor _firstMoments;
    private readonly Tensor _secondMoments;
    private readonly Tensor? _average;

    /// <param name="parameters">In state order, float32 on one device; their memory is exchanged here, so they must not be moved afterwards.</param>
    /// <param name="config">Betas, decay, clipping, average.</param>
    public FlatAdamW(IEnumerable<(string Name, Parameter Parameter)> parameters, TrainingConfig config)
    {
        _config = config;
        using var scope = NewDisposeScope();
        using var noGradient = no_grad();
        (string Name, Parameter Parameter)[] all = [.. parameters];
        var (offset, slots) = (0L, new Dictionary<string, Slot>());
        foreach (var (name, parameter) in all.OrderBy(p => p.Parameter.dim() >= 2 ? 0 : 1)) // keeps the order within a group
        {
            slots[name] = new Slot(name, parameter.shape, offset, parameter.numel());
            offset = RoundUp(offset + parameter.numel(), Alignment);
            _decayed = parameter.dim() >= 2 ? offset : _decayed;
        }

        _slots = [.. all.Select(p => slots[p.Name])];
        var (length, device) = (RoundUp(offset, RowLength), all[0].Parameter.device);
        Tensor Zeros() => zeros(length, ScalarType.Float32, device).DetachFromDisposeScope();
        (_weights, _gradients, _firstMoments, _secondMoments) = (Zeros(), Zeros(), Zeros(), Zeros());
        foreach (var (slot, (_, parameter)) in _slots.Zip(all))
        {
            var own = slot.Of(_weights);
            own.copy_(parameter);
            parameter.set_(own);
            parameter.grad = slot.Of(_gradients);
        }

        _average = HasAverage ? _weights.clone().DetachFromDisposeScope() : null;
    }

    /// <inheritdoc/>
    public long StepCount { get; private set; }

    /// <inheritdoc/>
    public long StepsBeforeMoments { get; private set; }

    /// <inheritdoc/>
    public bool HasAverage => _config.EmaDecay > 0;

    /// <inheritdoc/>
    public double GradientNorm() => Math.Sqrt(SumOfSquares());

    /// <inheritdoc/>
    public double SumOfSquares()
    {
        using var scope = NewDisposeScope();
        using var noGradient = no_grad();
        return linalg.vector_norm(_gradients.view(-1, RowLength), dims: [1]).cpu().to(ScalarType.Float64).square().sum().item<double>();
    }

    /// <inheritdoc/>
    public void Step(double learningRate, double gradientNorm)
    {
        using var scope = NewDisposeScope();
        using var noGradient = no_grad();
        var step = AdamWStep.For(_config, learningRate, gradientNorm, StepCount, StepsBeforeMoments);
        StepCount++;
        _gradients.mul_(step.Clip);
        _firstMoments.lerp_(_gradients, Number(1 - step.Beta1));
        _secondMoments.mul_(step.Beta2).addcmul_(_gradients, _gradients, 1 - step.Beta2);
        _weights.narrow(0, 0, _decayed).mul_(step.Keep);
        _gradients.copy_(_secondMoments).sqrt_().div_(step.SecondCorrection).add_(step.Epsilon);
        _weights.addcdiv_(_firstMoments, _gradients, -step.StepSize);
        _average?.lerp_(_weights, Number(1 - step.AverageDecay));
        _gradients.zero_();
    }

    /// <inheritdoc/>
    public void DropGradients()
    {
        using var scope = NewDisposeScope();
        _gradients.zero_();
    }

    /// <inheritdoc/>
    public void ResetMoments()
    {
        using var scope = NewDisposeScope();
        _firstMoments.zero_();
        _secondMoments.zero_();
        StepsBeforeMoments = StepCount;
    }

    /// <inheritdoc/>
    public void RestartRows(string name, ReadOnlySpan<long> rows)
    {
        using var scope = NewDisposeScope();
        using var noGradient = no_grad();
        var (slot, chosen) = (_slots.Single(s => s.Name == name), tensor(rows.ToArray(), device: _weights.device));
        slot.Of(_firstMoments).index_fill_(0, chosen, 0);
        slot.Of(_secondMoments).index_fill_(0, chosen, 0);
        if (_average is not null)
        {
            slot.Of(_average).index_copy_(0, chosen, slot.Of(_weights).index_select(0, chosen));
        }
    }

    /// <inheritdoc/>
    public IEnumerable<KeyValuePair<string, StoredTensor>> Moments()
    {
        foreach (var slot in _slots)
        {
            yield return new("exp_avg." + slot.Name, InPlace(slot, _firstMoments));
            yield return new("exp_avg_sq." + slot.Name, InPlace(slot, _secondMoments));
        }
    }

    /// <inheritdoc/>
    public IEnumerable<KeyValuePair<string, StoredTensor>> Average() => _slots.Select(s => KeyValuePair.Create(s.Name, InPlace(s, _average!)));

    /// <inheritdoc/>
    public void Restore(
        Func<string, HostTensor?> moments, Func<string, HostTensor?>? average, long stepCount, string source, long stepsBeforeMoments)
    {
        using var noGradient = no_grad();
        foreach (var slot in _slots)
        {
            void Copy(Func<string, HostTensor?> from, string key, Tensor to)
            {
                using var scope = NewDisposeScope();
                slot.Of(to).copy_(tensor(AdamW.Values(from(key), key, slot.Shape, source).ToArray(), slot.Shape));
            }

            Copy(moments, "exp_avg." + slot.Name, _firstMoments);
            Copy(moments, "exp_avg_sq." + slot.Name, _secondMoments);
            if (average is not null)
            {
                Copy(average, slot.Name, _average!);
            }
        }

        (StepCount, StepsBeforeMoments) = (stepCount, stepsBeforeMoments);
    }

    /// <inheritdoc/>
    public void SwapAverage()
    {
        using var scope = NewDisposeScope();
        using var noGradient = no_grad();
        _gradients.copy_(_weights);
        _weights.copy_(_average!);
        _average!.copy_(_gradients);
        _gradients.zero_();
    }

    /// <summary>Parameters keep their memory.</summary>
    public void Dispose()
    {
        foreach (var tensor in (Tensor?[])[_weights, _gradients, _firstMoments, _secondMoments, _average])
        {
            tensor?.Dispose();
        }
    }

    private static long RoundUp(long value, long multiple) => (value + multiple - 1) / multiple * multiple;

    private static StoredTensor InPlace(Slot slot, Tensor flat) => StoredTensor.Generate(slot.Shape, (first, part) =>
    {
        using var scope = NewDisposeScope();
        MemoryMarshal.Cast<byte, float>(flat.narrow(0, slot.Offset + first, part.Length).cpu().bytes).CopyTo(part);
    });

    private Tensor Number(float value) => tensor(value, device: _weights.device);

    /// <summary>Where a parameter lies.</summary>
    private sealed record Slot(string Name, long[] Shape, long Offset, long Count)
    {
        public Tensor Of(Tensor flat) => flat.narrow(0, Offset, Count).view(Shape);
    }
}
