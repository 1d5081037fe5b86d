using NextPatch.Core.Configuration;
using NextPatch.Core.Sampling;
using NextPatch.Data.Codes;
using NextPatch.Training.Runs;

namespace NextPatch.Training.Gpt;

/// <summary>
/// Which image, which stored crop and which label (or null class) stands at every place of the training stream: a pure function of
/// (seed, place), so resuming needs no replay and ranks can take their share by arithmetic.
/// </summary>
internal sealed class BatchSource
{
    private readonly CodeStore _store;
    private readonly GptConfig _model;
    private readonly ulong _seed;
    private readonly CounterRandom _augmentation;
    private readonly CounterRandom _labelDropout;

    /// <param name="store">Codes; the last held-out ones are never drawn.</param>
    /// <param name="model">Gives the null class and the label dropout.</param>
    /// <param name="seed">The run's seed.</param>
    public BatchSource(CodeStore store, GptConfig model, ulong seed)
    {
        _store = store;
        _model = model;
        _seed = seed;
        _augmentation = new CounterRandom(seed, RandomStream.Augmentation);
        _labelDropout = new CounterRandom(seed, RandomStream.LabelDropout);
        HeldOutCount = store.Manifest.HeldOutCount;
        TrainingCount = store.Count - HeldOutCount;
    }

    /// <summary>Images that are trained on.</summary>
    public int TrainingCount { get; }

    /// <summary>Images for validation.</summary>
    public int HeldOutCount { get; }

    /// <summary>The image at a place of the stream: each epoch is its own permutation of all images.</summary>
    public int ImageAt(long place) => (int)new SeekablePermutation(TrainingCount, _seed, place / TrainingCount)[place % TrainingCount];

    /// <summary>Fills codes and labels for places [<paramref name="place"/>, + labels.Length).</summary>
    /// <param name="place">Step * batch size + position in the batch.</param>
    /// <param name="codes">int64 [n, T].</param>
    /// <param name="labels">int64 [n], the null class where the label is dropped.</param>
    public void Fill(long place, Span<long> codes, Span<long> labels)
    {
        var row = new int[_store.CodesPerImage];
        for (var i = 0; i < labels.Length; i++)
        {
            var image = ImageAt(place + i);
            var augmentation = _store.Augmentations > 1 ? _augmentation.Below(_store.Augmentations, place + i, 0) : 0;
            _store.ReadCodes(image, augmentation, row);
            Widen(row, codes[(i * row.Length)..]);
            var isDropped = _model.HasNullClass && _labelDropout.Uniform(place + i, 0) < _model.ClassDropout;
            labels[i] = isDropped ? _model.ClassCount : _store.Label(image);
        }
    }

    /// <summary>Fills held-out images, counted from the first of them: first crop, true labels.</summary>
    public void FillHeldOut(ReadOnlySpan<int> images, Span<long> codes, Span<long> labels)
    {
        var row = new int[_store.CodesPerImage];
        for (var i = 0; i < images.Length; i++)
        {
            _store.ReadCodes(TrainingCount + images[i], 0, row);
            Widen(row, codes[(i * row.Length)..]);
            labels[i] = _store.Label(TrainingCount + images[i]);
        }
    }

    private static void Widen(ReadOnlySpan<int> from, Span<long> to)
    {
        for (var i = 0; i < from.Length; i++)
        {
            to[i] = from[i];
        }
    }
}

/// <summary>The micro-batches of the training stream, each read while the one before is computed.</summary>
internal sealed class BatchReader(BatchSource source, int codesPerImage) : Prefetcher<BatchReader.Batch>(
    (place, count) =>
    {
        var batch = new Batch(new long[(long)count * codesPerImage], new long[count]);
        source.Fill(place, batch.Codes, batch.Labels);
        return batch;
    },
    ahead: 1)
{
    /// <param name="Codes">[n, T].</param>
    /// <param name="Labels">[n].</param>
    public sealed record Batch(long[] Codes, long[] Labels);
}
