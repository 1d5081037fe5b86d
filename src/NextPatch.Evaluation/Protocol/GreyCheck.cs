using NextPatch.Core;

namespace NextPatch.Evaluation.Protocol;

/// <summary>Refuses grey images against coloured ones before the network has seen any of them.</summary>
internal static class GreyCheck
{
    /// <summary>
    /// Looks at the first images of both sides. Only where one side seems grey and the other has a colour are all images of the grey side read to be
    /// sure, which costs their decoding and ends at the first colour.
    /// </summary>
    /// <param name="origin">How features of the samples will come about.</param>
    /// <param name="samples">The samples; those that a model draws, or a tokenizer decodes, are the work itself and are not looked at.</param>
    /// <param name="reference">Images of the reference; null: it has none.</param>
    /// <param name="isReferenceGrey">What statistics say of theirs; null: nothing.</param>
    /// <param name="cancellation">Checked between batches.</param>
    /// <exception cref="ConfigException">One side is grey and the other is not.</exception>
    public static void Require(
        FeatureOrigin origin, ImageSet samples, ImageSet? reference, bool? isReferenceGrey, CancellationToken cancellation)
    {
        var own = SeemsGrey(samples, cancellation);
        var other = reference is null ? isReferenceGrey : SeemsGrey(reference, cancellation);
        if (own is null || other is null || own == other)
        {
            return;
        }

        var grey = own.Value ? samples : reference;
        if (grey is not null && grey.Read(cancellation).Any(HasColour))
        {
            return;
        }

        var problems = (origin with { IsGrey = own }).DifferencesFrom(origin with { IsGrey = other }).ToArray();
        throw new ConfigException(problems) { Settings = FeatureOrigin.Settings };
    }

    private static bool? SeemsGrey(ImageSet images, CancellationToken cancellation)
        => images is ArrayImageSet or DatasetImageSet && images.Count > 0 ? !HasColour(images.Read(cancellation).First()) : null;

    private static bool HasColour(ImageBatch batch)
    {
        using var marks = new ImageMarks();
        marks.Add(batch);
        return !marks.IsGrey;
    }
}
