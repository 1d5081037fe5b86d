using NextPatch.Core.Sampling;
using NextPatch.Data.Sources;

namespace NextPatch.Data.Datasets;

/// <summary>Holds out the same share of every class, chosen by the seed.</summary>
internal static class HeldOutChoice
{
    /// <summary>Chooses among images by their labels. A class of two or more images keeps at least one in each part.</summary>
    /// <param name="labels">Label of each image.</param>
    /// <param name="seed">Decides which.</param>
    /// <param name="share">Share of each class, in [0, 1).</param>
    /// <returns>For each image, whether it is held out.</returns>
    public static bool[] Choose(IReadOnlyList<int> labels, ulong seed, double share)
    {
        var heldOut = new bool[labels.Count];
        if (share > 0)
        {
            var random = new CounterRandom(seed, RandomStream.HeldOut);
            foreach (var members in Enumerable.Range(0, labels.Count).GroupBy(i => labels[i]))
            {
                var order = members.OrderBy(i => random.Bits(i, 0)).ToArray();
                var count = Math.Clamp((int)Math.Round(share * order.Length), Math.Min(1, order.Length - 1), order.Length - 1);
                foreach (var i in order.AsSpan(0, count))
                {
                    heldOut[i] = true;
                }
            }
        }

        return heldOut;
    }

    /// <summary>Splits; both parts keep the order of the source.</summary>
    internal static DatasetSplit Split(ImageDataset all, ulong seed, double share)
    {
        var heldOut = Choose(all.Labels, seed, share);
        return new DatasetSplit(Part(all, i => !heldOut[i]), Part(all, i => heldOut[i]));
    }

    private static ImageDataset Part(ImageDataset all, Predicate<int> belongs)
    {
        var chosen = Enumerable.Range(0, all.Count).Where(i => belongs(i)).ToArray();
        var pixels = new byte[chosen.Length * all.Image(0).Length];
        for (var i = 0; i < chosen.Length; i++)
        {
            all.Image(chosen[i]).CopyTo(pixels.AsSpan(i * all.Image(0).Length));
        }

        return new ImageDataset
        {
            Name = all.Name,
            Side = all.Side,
            ClassNames = all.ClassNames,
            Pixels = pixels,
            Labels = Array.ConvertAll(chosen, i => all.Labels[i]),
        };
    }
}
