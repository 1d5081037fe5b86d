using NextPatch.Core.Configuration;

namespace NextPatch.Training.Gpt;

/// <summary>Images of a step that go through the model at once on one rank.</summary>
/// <param name="Place">The first one's place in the training stream.</param>
/// <param name="Count">How many.</param>
/// <param name="PatchSide">Side of their patches.</param>
/// <param name="Index">Which micro-batch of the whole step they belong to; it decides their dropout.</param>
/// <param name="FirstImage">Images of that micro-batch before them, which another rank computes.</param>
internal readonly record struct MicroBatch(long Place, int Count, int PatchSide, int Index, int FirstImage)
{
    /// <summary>
    /// The slice of a step that a rank computes: as many images of every part as any other rank, but for one. Micro-batches are those of a run on one
    /// rank, cut where the slice begins and ends, so the numbers that belong to an image do not depend on how many ranks there are.
    /// </summary>
    /// <param name="training">Says how large micro-batches are.</param>
    /// <param name="place">Images before the step.</param>
    /// <param name="parts">Those of the step.</param>
    /// <param name="rank">Whose slice.</param>
    /// <param name="ranks">How many there are.</param>
    public static IReadOnlyList<MicroBatch> Slice(TrainingConfig training, long place, IReadOnlyList<GptStepPart> parts, int rank, int ranks)
    {
        var (slice, index) = (new List<MicroBatch>(), 0);
        foreach (var (side, images) in parts)
        {
            var micro = training.MicroBatchFor(side);
            var (first, end) = ((int)((long)images * rank / ranks), (int)((long)images * (rank + 1) / ranks));
            for (var start = 0; start < images; start += micro, index++)
            {
                var (from, to) = (Math.Max(start, first), Math.Min(start + micro, end));
                if (from < to)
                {
                    slice.Add(new MicroBatch(place + from, to - from, side, index, from - start));
                }
            }

            place += images;
        }

        return slice;
    }
}
