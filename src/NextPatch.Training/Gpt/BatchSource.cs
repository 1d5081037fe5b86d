using NextPatch.Core.Configuration;
using NextPatch.Core.Sampling;
using NextPatch.Data.Codes;
using NextPatch.Data.Sources;
using NextPatch.Torch.Gpt;

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
    private readonly CounterRandom _captionChoice;
    private readonly TrainingCaptions? _captions;

    /// <param name="store">Codes; the last held-out ones are never drawn.</param>
    /// <param name="model">Gives the null class and the dropout of labels or captions.</param>
    /// <param name="seed">The run's seed.</param>
    /// <param name="captions">Captions of a text model; images without one are never drawn.</param>
    public BatchSource(CodeStore store, GptConfig model, ulong seed, TrainingCaptions? captions = null)
    {
        _captions = captions;
        _captionChoice = new CounterRandom(seed, RandomStream.CaptionChoice);
        _store = store;
        _model = model;
        _seed = seed;
        _augmentation = new CounterRandom(seed, RandomStream.Augmentation);
        _labelDropout = new CounterRandom(seed, RandomStream.LabelDropout);
        HeldOutCount = captions?.HeldOut.Count ?? store.Manifest.HeldOutCount;
        TrainingCount = captions?.Training.Count ?? store.TrainCount;
    }

    /// <summary>Images that are trained on.</summary>
    public int TrainingCount { get; }

    /// <summary>Images for validation.</summary>
    public int HeldOutCount { get; }

    /// <summary>The image at a place of the stream: each epoch is its own permutation of all images.</summary>
    public int ImageAt(long place)
    {
        var chosen = (int)new SeekablePermutation(TrainingCount, _seed, place / TrainingCount)[place % TrainingCount];
        return _captions is null ? chosen : _captions.Training[chosen];
    }

    /// <summary>Fills codes and labels for places [<paramref name="place"/>, + labels.Length).</summary>
    /// <param name="place">Step * batch size + position in the batch.</param>
    /// <param name="codes">int64 [n, T].</param>
    /// <param name="labels">int64 [n], the null class where the label is dropped.</param>
    /// <returns>The captions of a text model.</returns>
    public CaptionBatch? Fill(long place, Span<long> codes, Span<long> labels)
    {
        var row = new int[_store.CodesPerImage];
        var (images, isDropped) = (new int[labels.Length], new bool[labels.Length]);
        for (var i = 0; i < labels.Length; i++)
        {
            var image = images[i] = ImageAt(place + i);
            var augmentation = _store.Augmentations > 1 ? _augmentation.Below(_store.Augmentations, place + i, 0) : 0;
            _store.ReadCodes(image, augmentation, row);
            Widen(row, codes[(i * row.Length)..]);
            isDropped[i] = _model.HasNullClass && _labelDropout.Uniform(place + i, 0) < _model.ClassDropout;
            labels[i] = isDropped[i] ? _model.ClassCount : _store.Label(image);
        }

        return _captions?.Read(images, i => _captionChoice.Uniform(place + i, 0), isDropped);
    }

    /// <summary>Fills held-out images, counted from the first of them: first crop, true labels and captions.</summary>
    public CaptionBatch? FillHeldOut(ReadOnlySpan<int> images, Span<long> codes, Span<long> labels)
    {
        var row = new int[_store.CodesPerImage];
        var places = new int[images.Length];
        for (var i = 0; i < images.Length; i++)
        {
            places[i] = _captions is null ? _store.TrainCount + images[i] : _captions.HeldOut[images[i]];
            _store.ReadCodes(places[i], 0, row);
            Widen(row, codes[(i * row.Length)..]);
            labels[i] = _store.Label(places[i]);
        }

        return _captions?.Read(places, null, new bool[images.Length]);
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
        var (codes, labels) = (new long[(long)count * codesPerImage], new long[count]);
        return new Batch(codes, labels, source.Fill(place, codes, labels));
    },
    ahead: 1)
{
    /// <param name="Codes">[n, T].</param>
    /// <param name="Labels">[n].</param>
    /// <param name="Captions">Of a text model.</param>
    public sealed record Batch(long[] Codes, long[] Labels, CaptionBatch? Captions);
}
