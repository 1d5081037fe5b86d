using NextPatch.Core;
using NextPatch.Core.Imaging;

namespace NextPatch.Data.Sources;

/// <summary>Images of a source as squares of one side in memory.</summary>
internal static class SquareImages
{
    /// <summary>Storage for a dataset, uint8 [count, side, side, 3].</summary>
    public static byte[] Allocate(int count, int side)
    {
        var bytes = (long)count * side * side * 3;
        return bytes <= Array.MaxLength
            ? new byte[bytes]
            : throw new NextPatchException(
                $"{count} images of {side}x{side} need {bytes / 1e9:0.0} GB in memory; at most {Array.MaxLength / 1e9:0.0} GB can be held. Choose "
                    + $"a smaller side.");
    }

    /// <summary>Reads every image, as the published centre crop (<see cref="ImageCrops.Centre"/>).</summary>
    /// <exception cref="NextPatchException">An image cannot be read; names it.</exception>
    public static ImageDataset Read(ImageSource source, int side, IProgress<ReadProgress>? progress, CancellationToken cancellationToken)
    {
        if (source is InMemoryImages held && held.Side == side)
        {
            return held.Dataset;
        }

        var (pixels, labels) = (Allocate(source.Count, side), new int[source.Count]);
        foreach (var image in new ImageStream(source).Read((image, _) => ImageCrops.Centre(image, side), cancellationToken: cancellationToken))
        {
            image.Value.Pixels.CopyTo(pixels.AsSpan(image.Index * side * side * 3));
            labels[image.Index] = image.Label;
            if ((image.Index + 1) % 256 == 0 || image.Index + 1 == source.Count)
            {
                progress?.Report(new ReadProgress(image.Index + 1, source.Count));
            }
        }

        return new ImageDataset { Name = source.Name, Side = side, ClassNames = source.ClassNames, Pixels = pixels, Labels = labels };
    }
}

/// <summary>How many of how many images are read.</summary>
public readonly record struct ReadProgress(int Done, int Total);
