using NextPatch.Torch.Gpt;
using NextPatch.Training.Runs;

namespace NextPatch.Training.Gpt;

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
