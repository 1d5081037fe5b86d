using System.Runtime.InteropServices;
using NextPatch.Core.Checkpoints;
using NextPatch.Core.Configuration;
using TorchSharp.Modules;
using static TorchSharp.torch;

namespace NextPatch.Training.Optimization;

/// <summary>
/// AdamW with the published groups (weight decay on tensors of two or more dimensions), clipping to a global norm, and the
/// exponential moving average of the weights, in one pass over managed buffers. Parameters live on the CPU in float32.
/// </summary>
public sealed class AdamW
{
    private readonly TrainingConfig _config;
    private readonly Slot[] _slots;

    /// <param name="parameters">In state order.</param>
    /// <param name="config">Betas, decay, clipping, average.</param>
    public AdamW(IEnumerable<(string Name, Parameter Parameter)> parameters, TrainingConfig config)
    {
        _config = config;
        _slots = [.. parameters.Select(p => new Slot(p.Name, p.Parameter, config.EmaDecay > 0))];
    }

    /// <summary>Updates done.</summary>
    public long StepCount { get; private set; }

    /// <summary>Whether a weight average is kept.</summary>
    public bool HasAverage => _config.EmaDecay > 0;

    /// <summary>Global norm of the gradients, accumulated in double; parameters without a gradient count as zero.</summary>
    public double GradientNorm()
    {
        var sum = 0.0;
        foreach (var slot in _slots)
        {
            using var gradient = slot.Parameter.grad;
            if (gradient is not null)
            {
                sum += AdamWKernel.SumOfSquares(Floats(gradient));
            }
        }

        return Math.Sqrt(sum);
    }

    /// <summary>Applies the gradients and drops them.</summary>
    /// <param name="learningRate">This step's rate.</param>
    /// <param name="gradientNorm">What <see cref="GradientNorm"/> returned.</param>
    public void Step(double learningRate, double gradientNorm)
    {
        var clip = _config.ClipNorm > 0 ? Math.Min(1, _config.ClipNorm / (gradientNorm + 1e-6)) : 1;
        var decay = _config.EmaWarmup ? Math.Min(_config.EmaDecay, (1.0 + StepCount) / (10.0 + StepCount)) : _config.EmaDecay;
        StepCount++;
        var stepSize = learningRate / (1 - Math.Pow(_config.Beta1, StepCount));
        var correction = Math.Sqrt(1 - Math.Pow(_config.Beta2, StepCount));
        foreach (var slot in _slots)
        {
            using var gradient = slot.Parameter.grad;
            if (gradient is null)
            {
                continue;
            }

            var keep = slot.IsDecayed ? 1 - (learningRate * _config.WeightDecay) : 1;
            var step = new AdamWStep((float)clip, (float)keep, (float)_config.Beta1, (float)_config.Beta2, (float)stepSize, (float)correction, (float)_config.AdamEpsilon, (float)decay);
            AdamWKernel.Update(Floats(slot.Parameter), Floats(gradient), slot.FirstMoments, slot.SecondMoments, slot.Average, step);
            slot.Parameter.grad = null;
        }
    }

    /// <summary>Optimiser moments by name, for a checkpoint.</summary>
    public IEnumerable<KeyValuePair<string, HostTensor>> CaptureMoments()
    {
        foreach (var slot in _slots)
        {
            yield return new("exp_avg." + slot.Name, HostTensor.FromSingles(slot.Shape, slot.FirstMoments));
            yield return new("exp_avg_sq." + slot.Name, HostTensor.FromSingles(slot.Shape, slot.SecondMoments));
        }
    }

    /// <summary>The weight average by state key.</summary>
    public IEnumerable<KeyValuePair<string, HostTensor>> CaptureAverage()
        => _slots.Select(slot => KeyValuePair.Create(slot.Name, HostTensor.FromSingles(slot.Shape, slot.Average)));

    /// <summary>Restores moments, average and step count.</summary>
    /// <exception cref="DataFormatException">A tensor is missing or has another shape.</exception>
    public void Restore(IReadOnlyDictionary<string, HostTensor> moments, IReadOnlyDictionary<string, HostTensor>? average, long stepCount, string source)
    {
        foreach (var slot in _slots)
        {
            Copy(moments, "exp_avg." + slot.Name, slot.FirstMoments, slot.Shape, source);
            Copy(moments, "exp_avg_sq." + slot.Name, slot.SecondMoments, slot.Shape, source);
            if (average is not null)
            {
                Copy(average, slot.Name, slot.Average, slot.Shape, source);
            }
        }

        StepCount = stepCount;
    }

    /// <summary>Starts the average as a copy of the weights as they are now.</summary>
    public void ResetAverage()
    {
        foreach (var slot in _slots)
        {
            if (slot.Average.Length > 0)
            {
                Floats(slot.Parameter).CopyTo(slot.Average);
            }
        }
    }

    private static void Copy(IReadOnlyDictionary<string, HostTensor> from, string key, float[] to, long[] shape, string source)
    {
        if (!from.TryGetValue(key, out var tensor) || !tensor.Shape.SequenceEqual(shape))
        {
            throw new DataFormatException($"{source}: '{key}' is {(tensor is null ? "missing" : HostTensor.Describe(tensor.Shape))}; expected {HostTensor.Describe(shape)}. The checkpoint is damaged or belongs to another model.");
        }

        tensor.AsSpan<float>().CopyTo(to);
    }

    /// <summary>The tensor's own memory.</summary>
    private static Span<float> Floats(Tensor tensor) => MemoryMarshal.Cast<byte, float>(tensor.bytes);

    private sealed class Slot
    {
        public Slot(string name, Parameter parameter, bool hasAverage)
        {
            Name = name;
            Parameter = parameter;
            Shape = parameter.shape;
            var count = (int)parameter.NumberOfElements;
            FirstMoments = new float[count];
            SecondMoments = new float[count];
            Average = hasAverage ? Floats(parameter).ToArray() : [];
        }

        public string Name { get; }

        public Parameter Parameter { get; }

        public long[] Shape { get; }

        public bool IsDecayed => Shape.Length >= 2;

        public float[] FirstMoments { get; }

        public float[] SecondMoments { get; }

        public float[] Average { get; }
    }
}
