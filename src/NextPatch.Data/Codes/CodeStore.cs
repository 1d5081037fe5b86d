using System.Text.Json;
using NextPatch.Core;
using NextPatch.Core.Checkpoints;

namespace NextPatch.Data.Codes;

// Shape letters used in this file: N images, A stored variants of an image, T codes of an image (GridSide^2).

/// <summary>
/// The codes and labels of a dataset in a folder: <c>codes.npy</c> uint16 or int32 [N, A, T], <c>labels.npy</c> int32 [N],
/// <c>dataset.json</c>. Codes are memory-mapped, so a store may be larger than memory; reading is safe from several threads.
/// </summary>
public sealed class CodeStore : IDisposable
{
    internal const string CodesName = "codes.npy";
    internal const string LabelsName = "labels.npy";
    internal const string ManifestName = "dataset.json";
    private readonly MappedCodes _codes;
    private readonly int[] _labels;

    private CodeStore(CodeManifest manifest, MappedCodes codes, int[] labels)
    {
        Manifest = manifest;
        _codes = codes;
        _labels = labels;
    }

    public CodeManifest Manifest { get; }

    /// <summary>Number of images N, training and validation together.</summary>
    public int Count => Manifest.Count;

    /// <summary>Images to train on: 0 to this number, exclusive. The rest is for validation.</summary>
    public int TrainCount => Manifest.Count - Manifest.HeldOutCount;

    /// <summary>Stored variants of each image, A.</summary>
    public int Augmentations => Manifest.Augmentations;

    /// <summary>Codes of an image, T.</summary>
    public int CodesPerImage => _codes.CodesPerImage;

    /// <summary>Opens a folder and checks that its files agree.</summary>
    /// <remarks>Without <c>dataset.json</c> grid, vocabulary and classes are inferred from all codes and labels.
    /// The codes themselves are checked as they are read; <see cref="CheckVocabulary"/> checks them all.</remarks>
    /// <exception cref="NextPatchException">A file is missing or unreadable.</exception>
    /// <exception cref="DataFormatException">A file is damaged, or the files disagree.</exception>
    public static CodeStore Open(string folder)
    {
        if (!Directory.Exists(folder))
        {
            throw new NextPatchException($"Code folder '{folder}' does not exist; check the path, or encode a dataset first.");
        }

        var codes = MappedCodes.Open(Path.Combine(folder, CodesName));
        try
        {
            var labelsPath = Path.Combine(folder, LabelsName);
            var labels = CodeStoreChecks.ReadLabels(labelsPath);
            var manifestPath = Path.Combine(folder, ManifestName);
            var manifest = File.Exists(manifestPath) ? ReadManifest(manifestPath) : CodeStoreChecks.Infer(folder, codes, labels);
            CodeStoreChecks.Agree(manifest, codes, labels, folder);
            return new CodeStore(manifest, codes, labels);
        }
        catch
        {
            codes.Dispose();
            throw;
        }
    }

    /// <summary>Writes a store; each file appears under its name only when it is whole.</summary>
    /// <param name="folder">Created if it is missing; a store in it is replaced.</param>
    /// <param name="manifest">Describes the other two; codes are stored as uint16 up to a vocabulary of 65,536, else as int32.</param>
    /// <param name="codes">[N, A, T], each in [0, VocabularySize).</param>
    /// <param name="labels">[N], each in [0, ClassNames.Count).</param>
    /// <exception cref="ArgumentException">Codes or labels do not fit the manifest.</exception>
    /// <exception cref="NextPatchException">The folder cannot be written.</exception>
    public static void Write(string folder, CodeManifest manifest, ReadOnlySpan<int> codes, ReadOnlySpan<int> labels)
        => CodeStoreWriter.Write(folder, manifest, codes, labels);

    /// <summary>Class of image <paramref name="i"/>.</summary>
    public int Label(int i) => _labels[i];

    /// <summary>Copies the codes of one stored variant of an image.</summary>
    /// <param name="i">Image, below <see cref="Count"/>.</param>
    /// <param name="augmentation">Variant, below <see cref="Augmentations"/>.</param>
    /// <param name="destination">[T].</param>
    /// <exception cref="DataFormatException">A code is not below the vocabulary size.</exception>
    public void ReadCodes(int i, int augmentation, Span<int> destination)
    {
        ArgumentOutOfRangeException.ThrowIfNegative(i);
        ArgumentOutOfRangeException.ThrowIfGreaterThanOrEqual(i, Count);
        ArgumentOutOfRangeException.ThrowIfNegative(augmentation);
        ArgumentOutOfRangeException.ThrowIfGreaterThanOrEqual(augmentation, Augmentations);
        ArgumentOutOfRangeException.ThrowIfNotEqual(destination.Length, CodesPerImage);
        _codes.Read(((long)i * Augmentations) + augmentation, destination);
        var bad = destination.IndexOfAnyExceptInRange(0, Manifest.VocabularySize - 1);
        if (bad >= 0)
        {
            throw new DataFormatException(
                $"'{_codes.Path}': image {i}, variant {augmentation} has code {destination[bad]} at position {bad}, "
                + $"but the vocabulary has {Manifest.VocabularySize} codes; they were made by another tokenizer than {ManifestName} says.");
        }
    }

    /// <summary>Reads every code once, so that a foreign store fails before a run and not hours into it. Costs one pass over the file.</summary>
    /// <exception cref="DataFormatException">A code is not below the vocabulary size; names the image and the value.</exception>
    public void CheckVocabulary(CancellationToken cancellationToken = default)
    {
        var buffer = new int[CodesPerImage];
        for (var i = 0; i < Count; i++)
        {
            cancellationToken.ThrowIfCancellationRequested();
            for (var a = 0; a < Augmentations; a++)
            {
                ReadCodes(i, a, buffer);
            }
        }
    }

    public void Dispose() => _codes.Dispose();

    private static CodeManifest ReadManifest(string path)
    {
        try
        {
            return JsonSerializer.Deserialize(File.ReadAllBytes(path), CodeManifestJson.Default.CodeManifest)
                ?? throw new DataFormatException($"'{path}' holds null instead of a manifest.");
        }
        catch (JsonException e)
        {
            throw new DataFormatException($"'{path}' is not a code manifest: {e.Message}", e);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw new NextPatchException($"'{path}' cannot be read: {e.Message}", e);
        }
    }
}
