using NextPatch.Training.Runs;

namespace NextPatch.Training.Gpt;

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
