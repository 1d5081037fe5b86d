using NextPatch.Core;
using NextPatch.Core.Configuration;
using NextPatch.Core.Tensors;
using TorchSharp.Modules;
using static TorchSharp.torch;

namespace NextPatch.Training.Optimization;

/// <summary>
/// AdamW with the published groups (weight decay on tensors of two or more dimensions), clipping to a global norm, and the
/// exponential moving average of the weights, in one pass over managed buffers. Parameters live on the CPU in float32.
/// </summary>
internal sealed class AdamW
{
    /// <summary>
    /// Parameters that a thread takes at a time; sums of squares are formed per chunk, so the norm does not depend on the number of threads.
    /// </summary>
    private const int ChunkLength = 1 << 16;

    private readonly TrainingConfig _config;
    private readonly ParameterSlot[] _slots;
    private readonly Chunk[] _chunks;

    /// <param name="parameters">In state order.</param>
    /// <param name="config">Betas, decay, clipping, average.</param>
    /// <param name="copies">bf16 tensors by parameter name that follow the weights; they stay the caller's.</param>
    /// <param name="parts">What of each parameter, by name, is updated and remembered here; null: all of it.</param>
    public AdamW(
        IEnumerable<(string Name, Parameter Parameter)> parameters, TrainingConfig config, IReadOnlyDictionary<string, Tensor>? copies = null,
        IReadOnlyDictionary<string, OptimizerPart>? parts = null)
    {
        _config = config;
        _slots = [.. parameters.Select(p => new ParameterSlot(
            p.Name, p.Parameter, parts?[p.Name] ?? OptimizerPart.Whole(p.Parameter, HasAverage), copies?.GetValueOrDefault(p.Name)))];
        _chunks = [.. _slots.SelectMany(slot => Enumerable.Range(0, (slot.FirstMoments.Length + ChunkLength - 1) / ChunkLength)
            .Select(i => new Chunk(slot, i * ChunkLength, Math.Min(ChunkLength, slot.FirstMoments.Length - (i * ChunkLength)))))];
    }

    /// <summary>Updates done.</summary>
    public long StepCount { get; private set; }

    /// <summary>Updates done before the moments were last reset.</summary>
    public long StepsBeforeMoments { get; private set; }

    /// <summary>Whether an EMA of the weights is kept.</summary>
    public bool HasAverage => _config.EmaDecay > 0;

    /// <summary>Global norm of the gradients, accumulated in double; parameters without a gradient count as zero.</summary>
    public double GradientNorm() => Math.Sqrt(SumOfSquares());

    /// <summary>Sum of the squares of the gradients, or of the parts of them that are used here.</summary>
    public double SumOfSquares()
    {
        FindGradients();
        var sums = new double[_chunks.Length];
        InParallel((chunk, i) => sums[i] = AdamWKernel.SumOfSquares(chunk.Gradients));
        return sums.Sum();
    }

    /// <summary>Applies the gradients and drops them.</summary>
    /// <param name="learningRate">This step's rate.</param>
    /// <param name="gradientNorm">What <see cref="GradientNorm"/> returned.</param>
    public void Step(double learningRate, double gradientNorm)
    {
        var clip = _config.ClipNorm > 0 ? Math.Min(1, _config.ClipNorm / (gradientNorm + 1e-6)) : 1;
        var decay = _config.EmaWarmup ? Math.Min(_config.EmaDecay, (1.0 + StepCount) / (10.0 + StepCount)) : _config.EmaDecay;
        StepCount++;
        var updates = StepCount - StepsBeforeMoments;
        var stepSize = learningRate / (1 - Math.Pow(_config.Beta1, updates));
        var correction = Math.Sqrt(1 - Math.Pow(_config.Beta2, updates));
        var plain = new AdamWStep(
            (float)clip, 1, (float)_config.Beta1, (float)_config.Beta2, (float)stepSize, (float)correction, (float)_config.AdamEpsilon, (float)decay);
        var decayed = plain with { Keep = (float)(1 - (learningRate * _config.WeightDecay)) };
        FindGradients();
        InParallel((chunk, _) => AdamWKernel.Update(
            chunk.Weights, chunk.Gradients, chunk.FirstMoments, chunk.SecondMoments, chunk.Average, chunk.Copy,
            chunk.Slot.IsDecayed ? decayed : plain));
        DropGradients();
    }

    /// <summary>Forgets the gradients without applying them.</summary>
    public void DropGradients()
    {
        foreach (var slot in _slots)
        {
            slot.Parameter.grad = null;
        }
    }

    /// <summary>Forgets the moments of all parameters, as if no update had been made; the average stays.</summary>
    public void ResetMoments()
    {
        foreach (var slot in _slots)
        {
            slot.FirstMoments.Span.Clear();
            slot.SecondMoments.Span.Clear();
        }

        StepsBeforeMoments = StepCount;
    }

    /// <summary>
    /// Forgets what is remembered of some rows of a parameter whose weights were replaced: moments become zero, the average the weights.
    /// </summary>
    /// <param name="name">State key of the parameter.</param>
    /// <param name="rows">Indices in its first dimension.</param>
    public void RestartRows(string name, ReadOnlySpan<long> rows)
    {
        var slot = _slots.Single(s => s.Name == name);
        var width = slot.FirstMoments.Length / (int)slot.Shape[0];
        foreach (var row in rows)
        {
            var start = checked((int)row) * width;
            slot.FirstMoments.Span.Slice(start, width).Clear();
            slot.SecondMoments.Span.Slice(start, width).Clear();
            if (slot.Average.Length > 0)
            {
                slot.Weights.Slice(start, width).CopyTo(slot.Average.Span[start..]);
            }
        }
    }

    /// <summary>Optimiser moments by name where they lie, for a checkpoint: not copied, so they change with the next step.</summary>
    public IEnumerable<KeyValuePair<string, StoredTensor>> Moments()
    {
        foreach (var slot in _slots)
        {
            yield return new("exp_avg." + slot.Name, InPlace(slot.Shape, slot.FirstMoments));
            yield return new("exp_avg_sq." + slot.Name, InPlace(slot.Shape, slot.SecondMoments));
        }
    }

    /// <summary>The EMA weights by state key, in place, not copied.</summary>
    public IEnumerable<KeyValuePair<string, StoredTensor>> Average()
        => _slots.Select(slot => KeyValuePair.Create(slot.Name, InPlace(slot.Shape, slot.Average)));

    /// <summary>A copy of <see cref="Moments"/>.</summary>
    public IEnumerable<KeyValuePair<string, HostTensor>> CaptureMoments() => Moments().Select(p => KeyValuePair.Create(p.Key, p.Value.Read()));

    /// <summary>A copy of the EMA weights by state key.</summary>
    public IEnumerable<KeyValuePair<string, HostTensor>> CaptureAverage()
        => _slots.Select(slot => KeyValuePair.Create(slot.Name, HostTensor.FromSingles(slot.Shape, slot.Average.Span)));

    /// <summary>Restores moments, average and counts of steps.</summary>
    /// <exception cref="DataFormatException">A tensor is missing or has another shape.</exception>
    public void Restore(
        IReadOnlyDictionary<string, HostTensor> moments, IReadOnlyDictionary<string, HostTensor>? average, long stepCount, string source,
        long stepsBeforeMoments = 0)
        => Restore(moments.GetValueOrDefault, average is null ? null : average.GetValueOrDefault, stepCount, source, stepsBeforeMoments);

    /// <inheritdoc cref="Restore(IReadOnlyDictionary{string, HostTensor}, IReadOnlyDictionary{string, HostTensor}?, long, string, long)"/>
    /// <param name="moments">Whole moments by their keys in a checkpoint, each asked for once and in the order of the parameters.</param>
    /// <param name="average">The same of the EMA weights.</param>
    /// <param name="stepCount">Updates done.</param>
    /// <param name="source">The checkpoint, for messages.</param>
    /// <param name="stepsBeforeMoments">Updates before the moments were last reset.</param>
    public void Restore(
        Func<string, HostTensor?> moments, Func<string, HostTensor?>? average, long stepCount, string source, long stepsBeforeMoments)
    {
        foreach (var slot in _slots)
        {
            void Copy(Func<string, HostTensor?> from, string key, Memory<float> to)
                => Values(from(key), key, slot.Shape, source).Slice(slot.Start, to.Length).CopyTo(to.Span);
            Copy(moments, "exp_avg." + slot.Name, slot.FirstMoments);
            Copy(moments, "exp_avg_sq." + slot.Name, slot.SecondMoments);
            if (average is not null)
            {
                Copy(average, slot.Name, slot.Average);
            }
        }

        (StepCount, StepsBeforeMoments) = (stepCount, stepsBeforeMoments);
    }

    /// <summary>Exchanges weights and average: once to look at the average, once more before training goes on.</summary>
    /// <remarks>The bf16 copies stay as they are: whoever computes with them must renew them.</remarks>
    public void SwapAverage()
    {
        var room = new float[ChunkLength];
        foreach (var chunk in _chunks)
        {
            var weights = room.AsSpan(0, chunk.Count);
            chunk.Weights.CopyTo(weights);
            chunk.Average.CopyTo(chunk.Weights);
            weights.CopyTo(chunk.Average);
        }
    }

    private static StoredTensor InPlace(long[] shape, Memory<float> values)
        => StoredTensor.Generate(shape, (first, part) => values.Span.Slice((int)first, part.Length).CopyTo(part));

    private static ReadOnlySpan<float> Values(HostTensor? tensor, string key, long[] shape, string source)
    {
        if (tensor is null || !tensor.Shape.SequenceEqual(shape))
        {
            throw new DataFormatException(
                $"{source}: '{key}' is {(tensor is null ? "missing" : HostTensor.Describe(tensor.Shape))}; expected {HostTensor.Describe(shape)}. "
                + $"The checkpoint is damaged or belongs to another model.");
        }

        if (tensor.Type != ElementType.Float32 || FiniteNumbers.FirstNotFinite(tensor.AsSpan<float>()) >= 0)
        {
            throw new DataFormatException(
                $"{source}: '{key}' is {tensor.Type} or holds a number that is not finite; expected finite {ElementType.Float32}. The checkpoint is "
                + $"damaged; take an earlier one.");
        }

        return tensor.AsSpan<float>();
    }

    private void FindGradients()
    {
        foreach (var slot in _slots)
        {
            slot.FindGradient();
        }
    }

    private void InParallel(Action<Chunk, int> action)
    {
        void Do(int i)
        {
            if (_chunks[i].Slot.HasGradient)
            {
                action(_chunks[i], i);
            }
        }

        if (_chunks.Length == _slots.Length)
        {
            for (var i = 0; i < _chunks.Length; i++) // a small model: waking threads would cost more
            {
                Do(i);
            }
        }
        else
        {
            Parallel.For(0, _chunks.Length, new ParallelOptions { MaxDegreeOfParallelism = get_num_threads() }, Do);
        }
    }

    /// <summary>Part of a parameter.</summary>
    private sealed record Chunk(ParameterSlot Slot, int Start, int Count)
    {
        public Span<float> Weights => Slot.Weights.Slice(Start, Count);

        public ReadOnlySpan<float> Gradients => Slot.Gradients.Slice(Start, Count);

        public Span<float> FirstMoments => Slot.FirstMoments.Span.Slice(Start, Count);

        public Span<float> SecondMoments => Slot.SecondMoments.Span.Slice(Start, Count);

        public Span<float> Average => Slot.Average.Length == 0 ? [] : Slot.Average.Span.Slice(Start, Count);

        public Span<ushort> Copy => Slot.Copy.IsEmpty ? [] : Slot.Copy.Slice(Start, Count);
    }
}
