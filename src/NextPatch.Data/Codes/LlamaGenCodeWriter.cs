using NextPatch.Core;
using NextPatch.Core.Checkpoints.Numpy;
using NextPatch.Core.Files;
using NextPatch.Core.Tensors;

namespace NextPatch.Data.Codes;

// Shape letters used in this file: A stored variants of an image, T codes of an image.

/// <summary>
/// Writes codes as the published extraction does: <c>NAME_codes/i.npy</c> int64 [1, A, T] and <c>NAME_labels/i.npy</c> int64 [1]. May be called from
/// several threads.
/// </summary>
internal sealed class LlamaGenCodeWriter
{
    private readonly string _codes;
    private readonly string _labels;

    /// <param name="folder">Made if it is missing; files of the same numbers are replaced.</param>
    /// <param name="name">Name of the dataset and side of its images: "imagenet256", as the published training expects it.</param>
    /// <exception cref="ArgumentException">The name is none of a folder.</exception>
    /// <exception cref="NextPatchException">The folder cannot be written.</exception>
    public LlamaGenCodeWriter(string folder, string name)
    {
        if (PathComponent.ProblemOf(name) is { } problem)
        {
            throw new ArgumentException($"'{name}' is no name of a folder: {problem}.", nameof(name));
        }

        (_codes, _labels) = (Path.Combine(folder, name + "_codes"), Path.Combine(folder, name + "_labels"));
        Try(folder, () =>
        {
            Directory.CreateDirectory(_codes);
            Directory.CreateDirectory(_labels);
        });
    }

    /// <summary>Writes one image; its codes appear under their name only when both files are whole.</summary>
    /// <param name="image">Its number, from 0 without gaps.</param>
    /// <param name="codes">[A, T].</param>
    /// <param name="variants">A.</param>
    /// <param name="label">Its class.</param>
    /// <exception cref="ArgumentException">The codes are no whole number of variants.</exception>
    /// <exception cref="NextPatchException">A file cannot be written.</exception>
    public void Write(long image, ReadOnlySpan<int> codes, int variants, int label) => Write(_codes, _labels, image, codes, variants, label);

    internal static void Write(string codesFolder, string labelsFolder, long image, ReadOnlySpan<int> codes, int variants, int label)
    {
        ArgumentOutOfRangeException.ThrowIfNegative(image);
        ArgumentOutOfRangeException.ThrowIfNegativeOrZero(variants);
        if (codes.Length == 0 || codes.Length % variants != 0)
        {
            throw new ArgumentException($"{codes.Length} codes are not {variants} variants of one length.", nameof(codes));
        }

        var wide = new long[codes.Length];
        for (var i = 0; i < wide.Length; i++)
        {
            wide[i] = codes[i];
        }

        var path = LlamaGenCodes.FileOf(codesFolder, image);
        Try(path, () =>
        {
            NpyFile.Write(LlamaGenCodes.FileOf(labelsFolder, image), HostTensor.From<long>(ElementType.Int64, [1], [label]));
            NpyFile.Write(path + ".tmp", HostTensor.From<long>(ElementType.Int64, [1, variants, wide.Length / variants], wide));
            File.Move(path + ".tmp", path, overwrite: true);
        });
    }

    private static void Try(string path, Action write)
    {
        try
        {
            write();
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw new NextPatchException($"'{path}' cannot be written: {e.Message}", e);
        }
    }
}
