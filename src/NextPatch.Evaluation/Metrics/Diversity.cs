namespace NextPatch.Evaluation.Metrics;

/// <summary>Mean pairwise Euclidean distance of features within classes.</summary>
internal static class Diversity
{
    /// <summary>
    /// How varied generated images are within their class, against real images of that class: for each class the mean distance of all
    /// pairs of samples divided by that of all pairs of real images, averaged over the classes that have at least two of both. Near 0
    /// is collapse, 1 is the spread of real images.
    /// </summary>
    /// <param name="samples">Features [N, F] of generated images; give agreeing ones only, malformed samples inflate the value.</param>
    /// <param name="sampleLabels">[N].</param>
    /// <param name="real">Features [M, F] of real images.</param>
    /// <param name="realLabels">[M].</param>
    /// <returns>The ratio, or null where no class has two samples and two (distinct) real images.</returns>
    public static double? Ratio(ReadOnlySpan<float> samples, ReadOnlySpan<int> sampleLabels, ReadOnlySpan<float> real, ReadOnlySpan<int> realLabels)
    {
        if (sampleLabels.Length == 0 || realLabels.Length == 0)
        {
            return null;
        }

        var (sampleGroups, realGroups) = (Group(samples, sampleLabels), Group(real, realLabels));
        var (sum, classes) = (0.0, 0);
        foreach (var (label, group) in sampleGroups.OrderBy(g => g.Key))
        {
            if (group.Count >= 2 && realGroups.TryGetValue(label, out var others) && MeanPairDistance(others) is > 0 and var spread)
            {
                sum += MeanPairDistance(group) / spread;
                classes++;
            }
        }

        return classes == 0 ? null : sum / classes;
    }

    private static Dictionary<int, List<float[]>> Group(ReadOnlySpan<float> features, ReadOnlySpan<int> labels)
    {
        var width = features.Length / labels.Length;
        var groups = new Dictionary<int, List<float[]>>();
        for (var i = 0; i < labels.Length; i++)
        {
            if (!groups.TryGetValue(labels[i], out var group))
            {
                groups[labels[i]] = group = [];
            }

            group.Add(features.Slice(i * width, width).ToArray());
        }

        return groups;
    }

    // 0 for fewer than two items.
    private static double MeanPairDistance(List<float[]> items)
    {
        var (sum, pairs) = (0.0, 0L);
        for (var i = 0; i < items.Count; i++)
        {
            for (var j = 0; j < i; j++)
            {
                sum += Distance(items[i], items[j]);
                pairs++;
            }
        }

        return pairs == 0 ? 0 : sum / pairs;
    }

    private static double Distance(float[] a, float[] b)
    {
        var sum = 0.0;
        for (var i = 0; i < a.Length; i++)
        {
            var difference = (double)a[i] - b[i];
            sum += difference * difference;
        }

        return Math.Sqrt(sum);
    }
}
