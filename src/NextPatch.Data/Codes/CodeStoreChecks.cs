using System.Globalization;
using NextPatch.Core;
using NextPatch.Core.Checkpoints.Numpy;
using NextPatch.Core.Tensors;

namespace NextPatch.Data.Codes;

/// <summary>That the three files of a store agree, and what they say when there are only two.</summary>
internal static class CodeStoreChecks
{
    public static int[] ReadLabels(string path)
    {
        var tensor = NpyFile.Read(path);
        if (tensor.Shape.Count != 1 || !tensor.Type.IsInteger())
        {
            throw new DataFormatException($"'{path}' holds {tensor}; expected integer labels of shape [images].");
        }

        return Array.ConvertAll(tensor.ToInt64(), l => l is >= 0 and < CodeManifest.MaxClasses
            ? (int)l
            : throw new DataFormatException($"'{path}' has the label {l}; labels go from 0 to {CodeManifest.MaxClasses - 1}."));
    }

    /// <exception cref="NextPatchException">Missing.</exception>
    /// <exception cref="DataFormatException">Of another type, or no lines of the captions.</exception>
    public static int[] ReadCaptions(CodeManifest manifest, string path)
    {
        var tensor = NpyFile.Read(path);
        var lines = tensor is { Type: ElementType.Int32, Shape.Count: 1 } ? tensor.AsSpan<int>().ToArray()
            : throw new DataFormatException($"'{path}' holds {tensor}; expected int32 lines of captions of shape [images].");
        return CaptionProblem(manifest, lines) is { } problem ? throw new DataFormatException($"'{path}': {problem}") : lines;
    }

    /// <summary>What is wrong with lines of captions; null if nothing is.</summary>
    public static string? CaptionProblem(CodeManifest manifest, ReadOnlySpan<int> lines)
    {
        if (lines.Length != (manifest.Captions is null ? 0 : manifest.Count))
        {
            return $"there are {lines.Length} lines of captions for {manifest.Count} images"
                + (manifest.Captions is null ? $", and {CodeStore.ManifestName} names no captions." : ".");
        }

        var bad = lines.IndexOfAnyExceptInRange(-1, (int)Math.Min(int.MaxValue, (manifest.Captions?.Count ?? 0) - 1));
        return bad < 0 ? null
            : $"image {bad} has caption {lines[bad]}, but there are {manifest.Captions!.Count}; captions count from 0, and -1 stands for none.";
    }

    /// <summary>
    /// The manifest of a store that has none: a square grid, the smallest vocabulary (for the published layout at least the published one) and
    /// classes that hold what is there.
    /// </summary>
    public static CodeManifest Infer(string folder, StoredCodes codes, int[] labels)
    {
        var side = (int)Math.Round(Math.Sqrt(codes.CodesPerImage));
        if ((long)side * side != codes.CodesPerImage)
        {
            throw new DataFormatException(
                $"'{codes.Path}' has {codes.CodesPerImage} codes per image, which is no square grid; describe it in {CodeStore.ManifestName}.");
        }

        var largest = 0;
        var buffer = new int[codes.CodesPerImage * codes.Variants];
        for (var image = 0; image < codes.Count; image++)
        {
            codes.ReadVariants(image, buffer);
            foreach (var code in buffer)
            {
                largest = code is >= 0 and < CodeManifest.MaxVocabulary ? Math.Max(largest, code) : throw new DataFormatException(
                    $"'{codes.Path}': image {image} has the code {code}, which is none: codes go from 0 to {CodeManifest.MaxVocabulary - 1}. The "
                        + $"file is "
                    + $"damaged, or holds something else.");
            }
        }

        return new CodeManifest
        {
            Name = Path.GetFileName(Path.TrimEndingDirectorySeparator(Path.GetFullPath(folder))),
            GridSide = side,
            VocabularySize = Math.Max(largest + 1, codes is LlamaGenCodes ? LlamaGenCodes.VocabularySize : 1),
            ClassNames = [.. Enumerable.Range(0, labels.DefaultIfEmpty().Max() + 1).Select(k => k.ToString(CultureInfo.InvariantCulture))],
            CropPolicy = codes is LlamaGenCodes published ? published.CropPolicy : "unknown",
            Count = codes.Count,
            Augmentations = codes.Variants,
        };
    }

    /// <exception cref="DataFormatException">Two of the files disagree; names both and what each says.</exception>
    public static void Agree(CodeManifest manifest, StoredCodes codes, int[] labels, string folder)
    {
        if (Problem(manifest, labels) is { } problem)
        {
            throw new DataFormatException($"Code folder '{folder}': {problem}");
        }

        long[] expected = [manifest.Count, manifest.Augmentations, (long)manifest.GridSide * manifest.GridSide];
        if (!expected.SequenceEqual(codes.Shape))
        {
            throw new DataFormatException(
                $"'{codes.Path}' has shape {HostTensor.Describe(codes.Shape)} but {CodeStore.ManifestName} says {HostTensor.Describe(expected)} "
                + $"(images, variants, codes of a {manifest.GridSide}x{manifest.GridSide} grid); the files belong to different datasets.");
        }
    }

    /// <summary>What is wrong with a manifest by itself and against the labels; null if nothing is.</summary>
    public static string? Problem(CodeManifest manifest, ReadOnlySpan<int> labels)
    {
        if (manifest.FormatVersion != CodeManifest.CurrentVersion)
        {
            return $"{CodeStore.ManifestName} has format version {manifest.FormatVersion}; "
                + $"this program reads version {CodeManifest.CurrentVersion}. Use a matching program.";
        }

        if (manifest.Count < 1 || manifest.Augmentations < 1 || manifest.GridSide < 1 || manifest.VocabularySize < 1 || manifest.ClassNames.Count < 1)
        {
            return $"count, augmentations, gridSide, vocabularySize and the number of classNames in {CodeStore.ManifestName} must be at least 1, "
                + $"but are {manifest.Count}, {manifest.Augmentations}, {manifest.GridSide}, {manifest.VocabularySize} and "
                    + $"{manifest.ClassNames.Count}.";
        }

        if (manifest.VocabularySize > CodeManifest.MaxVocabulary || manifest.ClassNames.Count > CodeManifest.MaxClasses
            || manifest.GridSide > CodeManifest.MaxSide || manifest.ImageSide is < 0 or > CodeManifest.MaxSide * 64)
        {
            return $"vocabularySize, the number of classNames, gridSide and imageSide in {CodeStore.ManifestName} are {manifest.VocabularySize}, "
                + $"{manifest.ClassNames.Count}, {manifest.GridSide} and {manifest.ImageSide}; expected at most {CodeManifest.MaxVocabulary}, "
                + $"{CodeManifest.MaxClasses}, {CodeManifest.MaxSide} and {CodeManifest.MaxSide * 64}.";
        }

        if (manifest.HeldOutCount < 0 || manifest.HeldOutCount >= manifest.Count)
        {
            return $"heldOutCount in {CodeStore.ManifestName} is {manifest.HeldOutCount}; expected 0 to {manifest.Count - 1}, so that images to "
                + $"train on remain.";
        }

        if (labels.Length != manifest.Count)
        {
            return $"{CodeStore.LabelsName} has {labels.Length} labels but {CodeStore.ManifestName} says {manifest.Count} images.";
        }

        var bad = labels.IndexOfAnyExceptInRange(0, manifest.ClassNames.Count - 1);
        return bad < 0 ? null : $"image {bad} has label {labels[bad]}, but there are {manifest.ClassNames.Count} classes.";
    }
}
