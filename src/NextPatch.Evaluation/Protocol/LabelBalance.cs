namespace NextPatch.Evaluation.Protocol;

/// <summary>How the classes of a set of images are distributed; published figures differ between the two ways.</summary>
internal static class LabelBalance
{
    /// <returns>balanced: as many images of each class; random: not so; unknown.</returns>
    public static string Describe(ImageSet images)
    {
        if (images.Labels is not { Count: > 0 } labels)
        {
            return "unknown";
        }

        var counts = labels.CountBy(label => label).Select(pair => pair.Value).ToArray();
        return counts.Distinct().Count() == 1 && counts.Length == (images.ClassCount ?? counts.Length) ? "balanced" : "random";
    }
}
