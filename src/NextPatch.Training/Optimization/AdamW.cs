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
internal sealed class AdamW : IOptimizer
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
        FindGradients();
        var sums = new double[_chunks.Length];
        InParallel((chunk, i) => sums[i] = AdamWKernel.SumOfSquares(chunk.Gradients));
        return sums.Sum();
    }

    /// <inheritdoc/>
    public void Step(double learningRate, double gradientNorm)
    {
        var decayed = AdamWStep.For(_config, learningRate, gradientNorm, StepCount, StepsBeforeMoments);
        var plain = decayed with { Keep = 1 };
        StepCount++;
        FindGradients();
        InParallel((chunk, _) => AdamWKernel.Update(
            chunk.Weights, chunk.Gradients, chunk.FirstMoments, chunk.SecondMoments, chunk.Average, chunk.Copy,
            chunk.Slot.IsDecayed ? decayed : plain));
        DropGradients();
    }

    /// <inheritdoc/>
    public void DropGradients()
    {
        foreach (var slot in _slots)
        {
            slot.Parameter.grad = null;
        }
    }

    /// <inheritdoc/>
    public void ResetMoments()
    {
        foreach (var slot in _slots)
        {
            slot.FirstMoments.Span.Clear();
            slot.SecondMoments.Span.Clear();
        }

        StepsBeforeMoments = StepCount;
    }

    /// <inheritdoc/>
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

    /// <inheritdoc/>
    public IEnumerable<KeyValuePair<string, StoredTensor>> Moments()
    {
        foreach (var slot in _slots)
        {
            yield return new("exp_avg." + slot.Name, InPlace(slot.Shape, slot.FirstMoments));
            yield return new("exp_avg_sq." + slot.Name, InPlace(slot.Shape, slot.SecondMoments));
        }
    }

    /// <inheritdoc/>
    public IEnumerable<KeyValuePair<string, StoredTensor>> Average()
        => _slots.Select(slot => KeyValuePair.Create(slot.Name, InPlace(slot.Shape, slot.Average)));

    /// <inheritdoc/>
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

    /// <inheritdoc/>
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

    /// <summary>What a checkpoint holds of a parameter.</summary>
    /// <exception cref="DataFormatException">It is missing, of another shape or type, or not finite.</exception>
    internal static ReadOnlySpan<float> Values(HostTensor? tensor, string key, long[] shape, string source)
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
