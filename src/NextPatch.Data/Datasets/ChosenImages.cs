using System.Diagnostics.CodeAnalysis;
using NextPatch.Core;
using NextPatch.Core.Imaging;
using NextPatch.Data.Sources;

namespace NextPatch.Data.Datasets;

/// <summary>The images of a dataset that are to be used, in a fixed order: those to learn from first, those that are held out last.</summary>
internal sealed class ChosenImages : ImageSource
{
    private readonly (ImageSource Source, int Index)[] _images;

    [SetsRequiredMembers]
    private ChosenImages(ImageSource first, IEnumerable<(ImageSource Source, int Index)> train, IEnumerable<(ImageSource Source, int Index)> heldOut)
    {
        (Name, Layout, ClassNames, LeftOut) = (first.Name, first.Layout, first.ClassNames, first.LeftOut);
        var learnt = train.ToArray();
        (_images, TrainCount) = ([.. learnt, .. heldOut], learnt.Length);
    }

    [SetsRequiredMembers]
    private ChosenImages(ChosenImages all, int first, int end)
    {
        (Name, Layout, ClassNames, LeftOut) = (all.Name, all.Layout, all.ClassNames, all.LeftOut);
        (_images, TrainCount) = (all._images[first..end], Math.Clamp(all.TrainCount - first, 0, end - first));
    }

    public override int Count => _images.Length;

    /// <summary>Images to learn from; the rest is held out.</summary>
    public int TrainCount { get; }

    /// <summary>Chooses images.</summary>
    /// <param name="parts">Stays open, and stays the caller's.</param>
    /// <param name="choice">Which parts. Of a single part nothing is held out, except by <paramref name="heldOutShare"/>.</param>
    /// <param name="heldOutShare">Share of each class of the training part that is held out, in [0, 1); 0 where the data bring a part of their own
    /// for that.</param>
    /// <param name="seed">Chooses them.</param>
    /// <exception cref="NextPatchException">The dataset has no such part.</exception>
    public static ChosenImages From(DatasetParts parts, DatasetPart choice, double heldOutShare = 0, ulong seed = 0)
    {
        ArgumentOutOfRangeException.ThrowIfNegative(heldOutShare);
        ArgumentOutOfRangeException.ThrowIfGreaterThanOrEqual(heldOutShare, 1);
        if (choice == DatasetPart.Val)
        {
            return parts.Test is { } test
                ? new ChosenImages(test, All(test), [])
                : throw new NextPatchException($"'{parts.Train.Name}' has no part that is kept for validation or testing.");
        }

        var labels = Enumerable.Range(0, parts.Train.Count).Select(parts.Train.Label).ToArray();
        var heldOut = HeldOutChoice.Choose(labels, seed, heldOutShare);
        return new ChosenImages(
            parts.Train,
            All(parts.Train).Where(i => !heldOut[i.Index]),
            All(parts.Train).Where(i => heldOut[i.Index]).Concat(choice == DatasetPart.All && parts.Test is not null ? All(parts.Test) : []));
    }

    /// <summary>The images [<paramref name="first"/>, <paramref name="end"/>) in their order.</summary>
    public ChosenImages Slice(int first, int end) => new(this, first, end);

    public override int Label(int i) => _images[i].Source.Label(_images[i].Index);

    public override string PathOf(int i) => _images[i].Source.PathOf(_images[i].Index);

    public override RgbImage Decode(int i) => _images[i].Source.Decode(_images[i].Index);

    private static IEnumerable<(ImageSource Source, int Index)> All(ImageSource source) => Enumerable.Range(0, source.Count).Select(i => (source, i));
}

/// <summary>Which images of a dataset are meant.</summary>
public enum DatasetPart
{
    /// <summary>Both parts; the one for validation or testing is held out.</summary>
    All,

    /// <summary>What the data bring to learn from.</summary>
    Train,

    /// <summary>What they keep for validation or testing.</summary>
    Val,
}
