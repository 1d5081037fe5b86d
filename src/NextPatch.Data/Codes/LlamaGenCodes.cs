using System.Globalization;
using NextPatch.Core;
using NextPatch.Core.Checkpoints.Numpy;
using NextPatch.Core.Files;
using NextPatch.Core.Tensors;
using NextPatch.Data.Imaging;

namespace NextPatch.Data.Codes;

// Shape letters used in this file: N images, A stored variants of an image, T codes of an image.

/// <summary>
/// The published layout: <c>X_codes/i.npy</c> int64 [1, A, T] and <c>X_labels/i.npy</c> int64 [1] for i from 0 to N - 1, X for instance
/// "imagenet256".
/// </summary>
/// <remarks>Source: <c>dataset/imagenet.py::CustomDataset</c> of LlamaGen. Where a folder is called ..ten_crop and its sibling ..ten_crop_105 has the
/// same subfolders, the published code takes either with probability one half, then one of its ten crops: here those are the first and the last ten
/// of 20 variants.</remarks>
internal sealed class LlamaGenCodes : StoredCodes
{
    /// <summary>Codebook size of the published tokenizers, which the files do not say.</summary>
    public const int VocabularySize = 16384;

    internal const string CodesSuffix = "_codes";
    internal const string LabelsSuffix = "_labels";
    private const string TenCrop = "ten_crop";
    private const string SmallerRange = "_105";

    private readonly string[] _folders;
    private readonly string _labels;

    private LlamaGenCodes(string[] folders, string labels, int count)
    {
        (_folders, _labels) = (folders, labels);
        var first = ReadFile(0, 0);
        if (first.Shape is not [1, > 0 and < int.MaxValue, > 0 and < int.MaxValue])
        {
            throw new DataFormatException($"'{FileOf(folders[0], 0)}' holds {first}; expected integers of shape [1, variants, codes per image].");
        }

        Shape = [count, first.Shape[1] * folders.Length, first.Shape[2]];
    }

    public override string Path => _folders[0];

    public override IReadOnlyList<long> Shape { get; }

    /// <summary>Whether the smaller crops of a sibling folder are the second half of the variants.</summary>
    public bool HasSibling => _folders.Length > 1;

    public string CropPolicy => HasSibling ? "ten-crop 1.1 and 1.05" : Variants switch { 1 => "none", 2 => "flip", 10 => "ten-crop", _ => "unknown" };

    private int VariantsPerFile => Variants / _folders.Length;

    /// <summary>The folder of codes in a folder, or this folder itself if it is one.</summary>
    /// <returns>Null if the layout is not there.</returns>
    public static string? FindCodes(string folder)
    {
        folder = System.IO.Path.TrimEndingDirectorySeparator(System.IO.Path.GetFullPath(folder));
        var codes = folder.EndsWith(CodesSuffix, StringComparison.Ordinal) ? [folder] : Directory.GetDirectories(folder, "*" + CodesSuffix);
        return codes is [var only] && Directory.Exists(LabelsOf(only)) ? only : null;
    }

    /// <param name="only">From <see cref="FindCodes"/>.</param>
    /// <exception cref="DataFormatException">Numbers are missing or the first file is not understood.</exception>
    public static LlamaGenCodes Open(string only)
    {
        var parent = System.IO.Path.GetDirectoryName(only)!;
        var sibling = System.IO.Path.Combine(parent + SmallerRange, System.IO.Path.GetFileName(only));
        string[] folders = parent.EndsWith(TenCrop, StringComparison.Ordinal) && Directory.Exists(sibling) && Directory.Exists(LabelsOf(sibling))
            ? [only, sibling]
            : [only];
        var counts = folders.Select(CountFiles).ToArray();
        return counts[0] == counts[^1] && counts[0] == CountFiles(LabelsOf(only))
            ? new LlamaGenCodes(folders, LabelsOf(only), counts[0])
            : throw new DataFormatException(
                $"'{only}' has {counts[0]} images, '{folders[^1]}' {counts[^1]} and '{LabelsOf(only)}' {CountFiles(LabelsOf(only))}; expected as "
                + $"many in each.");
    }

    public int[] ReadLabels()
    {
        var labels = new int[Count];
        try
        {
            Parallel.For(0, Count, i => labels[i] = CodeStoreChecks.ReadLabels(FileOf(_labels, i)) is [var label]
                ? label
                : throw new DataFormatException($"'{FileOf(_labels, i)}' must hold one label."));
        }
        catch (AggregateException e)
        {
            System.Runtime.ExceptionServices.ExceptionDispatchInfo.Throw(e.InnerExceptions[0]);
        }

        return labels;
    }

    public override void Read(int image, int variant, Span<int> destination)
        => Copy(ReadChecked(variant / VariantsPerFile, image), variant % VariantsPerFile * CodesPerImage, destination);

    public override void ReadVariants(int image, Span<int> destination)
    {
        var part = VariantsPerFile * CodesPerImage;
        for (var f = 0; f < _folders.Length; f++)
        {
            Copy(ReadChecked(f, image), 0, destination.Slice(f * part, part));
        }
    }

    public override void Dispose()
    {
    }

    internal static string FileOf(string folder, long image)
        => System.IO.Path.Combine(folder, string.Create(CultureInfo.InvariantCulture, $"{image}.npy"));

    /// <summary>What the two folders of a dataset are called, but for their endings.</summary>
    /// <exception cref="ConfigException">The name would lead out of the folder they lie in.</exception>
    internal static string FolderName(string name, int imageSide) => PathComponent.ProblemOf(name) is { } problem
        ? throw new ConfigException(
            $"Name '{PrintableText.From(name)}' names the folders of the published layout, and is no name of a folder: {problem}.")
        {
            Settings = ["Name"],
        }
        : string.Create(CultureInfo.InvariantCulture, $"{name}{imageSide}");

    /// <summary>The number of a file <c>12.npy</c>, or of one that is being written; -1 for every other.</summary>
    internal static int NumberOf(string path)
    {
        var name = System.IO.Path.GetFileName(path);
        name = name.EndsWith(".tmp", StringComparison.Ordinal) ? name[..^4] : name;
        return name.EndsWith(".npy", StringComparison.Ordinal)
            && int.TryParse(name.AsSpan(0, name.Length - 4), NumberStyles.None, CultureInfo.InvariantCulture, out var number) ? number : -1;
    }

    private static string LabelsOf(string codes) => codes[..^CodesSuffix.Length] + LabelsSuffix;

    private static int CountFiles(string folder)
    {
        // Hidden and foreign files do not count; the numbers must go from 0 up without a gap.
        var numbers = Directory.EnumerateFiles(folder, "*.npy")
            .Select(f => int.TryParse(
                System.IO.Path.GetFileNameWithoutExtension(f), NumberStyles.None, CultureInfo.InvariantCulture, out var n) ? n : -1)
                .Where(n => n >= 0).ToHashSet();
        var gap = Enumerable.Range(0, numbers.Count).FirstOrDefault(n => !numbers.Contains(n), -1);
        return numbers.Count == 0 ? throw new DataFormatException($"'{folder}' holds no files 0.npy, 1.npy and so on.")
            : gap < 0 ? numbers.Count
            : throw new DataFormatException(
                $"'{folder}' lacks {gap}.npy, but has higher numbers; the extraction was not finished, or files were lost.");
    }

    /// <summary>A negative or too large number becomes -1, which every reader refuses.</summary>
    private static void Copy(ReadOnlySpan<long> codes, int first, Span<int> destination)
    {
        for (var i = 0; i < destination.Length; i++)
        {
            destination[i] = codes[first + i] is >= 0 and <= int.MaxValue and var code ? (int)code : -1;
        }
    }

    private ReadOnlySpan<long> ReadChecked(int folder, int image)
    {
        var codes = ReadFile(folder, image);
        return codes.Shape.SequenceEqual([1, VariantsPerFile, CodesPerImage])
            ? codes.Type == ElementType.Int64 ? codes.AsSpan<long>() : codes.ToInt64()
            : throw new DataFormatException(
                $"'{FileOf(_folders[folder], image)}' has shape {HostTensor.Describe(codes.Shape)} but the first image "
                + $"{HostTensor.Describe([1, VariantsPerFile, CodesPerImage])}.");
    }

    private HostTensor ReadFile(int folder, int image)
    {
        var path = FileOf(_folders[folder], image);
        using var bytes = new MemoryStream(ImageDecoder.ReadFile(path));
        var codes = NpyFile.Read(bytes, path);
        return codes.Type.IsFloating() || codes.Type is ElementType.Bool
            ? throw new DataFormatException($"'{path}' holds {codes}; expected integer codes.")
            : codes;
    }
}
