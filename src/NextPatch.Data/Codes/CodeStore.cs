using System.Text.Json;
using NextPatch.Core;
using NextPatch.Core.Files;

namespace NextPatch.Data.Codes;

// Shape letters used in this file: N images, A stored variants of an image, T codes of an image (GridSide^2).

/// <summary>
/// The codes and labels of a dataset in a folder: <c>codes.npy</c> uint16 or int32 [N, A, T], <c>labels.npy</c> int32 [N],
/// <c>dataset.json</c>; or the published layout of one file per image (<see cref="LlamaGenCodeWriter"/>). Codes are memory-mapped or read
/// file by file, so a store may be larger than memory; reading is safe from several threads.
/// </summary>
public sealed class CodeStore : IDisposable
{
    internal const string CodesName = "codes.npy";
    internal const string LabelsName = "labels.npy";
    internal const string ManifestName = "dataset.json";
    internal const string CaptionsName = "captions.npy";
    private readonly string _folder;
    private readonly StoredCodes _codes;
    private readonly int[] _labels;
    private readonly int[] _captions;

    private CodeStore(string folder, CodeManifest manifest, StoredCodes codes, int[] labels, int[] captions)
    {
        _folder = folder;
        Manifest = manifest;
        _codes = codes;
        _labels = labels;
        _captions = captions;
    }

    /// <summary>What the store holds: shape, tokenizer, classes.</summary>
    public CodeManifest Manifest { get; }

    /// <summary>Number of images N, training and validation together.</summary>
    public int Count => Manifest.Count;

    /// <summary>Images to train on: 0 to this number, exclusive. The rest is for validation.</summary>
    public int TrainCount => Manifest.Count - Manifest.HeldOutCount;

    /// <summary>Stored variants of each image, A.</summary>
    public int Augmentations => Manifest.Augmentations;

    /// <summary>Whether the codes lie in one file per image, as published.</summary>
    public bool IsPublishedLayout => _codes is LlamaGenCodes;

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
            throw new NextPatchException(
                $"Code folder '{folder}' {(File.Exists(folder) ? "is a file" : "does not exist")}; check the path, or encode a dataset first.");
        }

        if (!IsCodeFolder(folder))
        {
            throw new NextPatchException(
                $"'{Path.Combine(folder, CodesName)}' does not exist, nor a pair of published folders ('..._codes' beside '..._labels'); check the "
                + $"path, or encode a dataset first ('nextpatch encode').");
        }

        var published = File.Exists(Path.Combine(folder, CodesName)) || LlamaGenCodes.FindCodes(folder) is not { } found
            ? null
            : LlamaGenCodes.Open(found);
        StoredCodes codes = published is null ? MappedCodes.Open(Path.Combine(folder, CodesName)) : published;
        try
        {
            var labels = published?.ReadLabels() ?? CodeStoreChecks.ReadLabels(Path.Combine(folder, LabelsName));
            var manifestPath = Path.Combine(folder, ManifestName);
            var manifest = File.Exists(manifestPath) ? ReadManifest(manifestPath, published) : CodeStoreChecks.Infer(folder, codes, labels);
            CodeStoreChecks.Agree(manifest, codes, labels, folder);
            var captions = manifest.Captions is null ? [] : CodeStoreChecks.ReadCaptions(manifest, Path.Combine(folder, CaptionsName));
            return new CodeStore(folder, manifest, codes, labels, captions);
        }
        catch
        {
            codes.Dispose();
            throw;
        }
    }

    /// <summary>Whether a path is a folder of codes in one of the two layouts; nothing is read.</summary>
    public static bool IsCodeFolder(string path)
        => Directory.Exists(path) && (File.Exists(Path.Combine(path, CodesName)) || LlamaGenCodes.FindCodes(path) is not null);

    /// <summary>Writes a store; each file appears under its name only when it is whole.</summary>
    /// <param name="folder">Created if it is missing; a store in it is replaced.</param>
    /// <param name="manifest">Describes the other two; codes are stored as uint16 up to a vocabulary of 65,536, else as int32.</param>
    /// <param name="codes">[N, A, T], each in [0, VocabularySize).</param>
    /// <param name="labels">[N], each in [0, ClassNames.Count).</param>
    /// <exception cref="ArgumentException">Codes or labels do not fit the manifest.</exception>
    /// <exception cref="NextPatchException">The folder cannot be written.</exception>
    public static void Write(string folder, CodeManifest manifest, ReadOnlySpan<int> codes, ReadOnlySpan<int> labels)
        => CodeStoreWriter.Write(folder, manifest, codes, labels, []);

    /// <summary>Class of image <paramref name="i"/>.</summary>
    public int Label(int i) => _labels[i];

    /// <summary>Line of the caption of image <paramref name="i"/> in <see cref="CodeManifest.Captions"/>; -1 where it has none.</summary>
    public int CaptionLine(int i) => _captions.Length == 0 ? -1 : _captions[i];

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
        _codes.Read(i, augmentation, destination);
        Check(i, augmentation, destination);
    }

    /// <summary>Reads every code once, so that a foreign store fails before a run and not hours into it. Costs one pass over the file.</summary>
    /// <exception cref="DataFormatException">A code is not below the vocabulary size; names the image and the value.</exception>
    public void CheckVocabulary(CancellationToken cancellationToken = default)
    {
        var buffer = new int[Augmentations * CodesPerImage];
        for (var i = 0; i < Count; i++)
        {
            cancellationToken.ThrowIfCancellationRequested();
            _codes.ReadVariants(i, buffer);
            for (var a = 0; a < Augmentations; a++)
            {
                Check(i, a, buffer.AsSpan(a * CodesPerImage, CodesPerImage));
            }
        }
    }

    /// <summary>Computes the hashes of a store's files again.</summary>
    /// <returns>One line per file that is not what the manifest says; null where the manifest records no hashes.</returns>
    /// <exception cref="NextPatchException">A file cannot be read.</exception>
    public IReadOnlyList<string>? FindChangedFiles(CancellationToken cancellationToken = default)
        => Manifest.FileHashes is null ? null : CodeHashes.Compare(_folder, Manifest.FileHashes, cancellationToken);

    /// <inheritdoc/>
    public void Dispose() => _codes.Dispose();

    private void Check(int image, int variant, ReadOnlySpan<int> codes)
    {
        var bad = codes.IndexOfAnyExceptInRange(0, Manifest.VocabularySize - 1);
        if (bad >= 0)
        {
            throw new DataFormatException(
                $"'{_codes.Path}': image {image}, variant {variant} has code {codes[bad]} at position {bad}, "
                + $"but the vocabulary has {Manifest.VocabularySize} codes; they are damaged, or were made by another tokenizer.");
        }
    }

    private static CodeManifest ReadManifest(string path, LlamaGenCodes? published)
    {
        try
        {
            var manifest = JsonSerializer.Deserialize(TextFile.ReadUtf8(path, TextFile.MostBytesOfJson), CodeManifestJson.Default.CodeManifest)
                ?? throw new DataFormatException($"'{path}' holds null instead of a manifest.");

            // It describes its own folder, and the sibling brings as many variants again.
            return published is { HasSibling: true } && manifest.Augmentations * 2 == published.Variants
                ? manifest with { Augmentations = published.Variants, CropPolicy = published.CropPolicy }
                : manifest;
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
