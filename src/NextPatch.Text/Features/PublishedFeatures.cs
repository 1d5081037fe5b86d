using NextPatch.Core;
using NextPatch.Core.Checkpoints.Numpy;

namespace NextPatch.Text.Features;

/// <summary>A file of features per caption, as LlamaGen keeps them: {file of captions}/{line}.npy, [1, tokens, width].</summary>
internal sealed class PublishedFeatures : ICaptionFeatures
{
    private readonly string[] _files;
    private readonly int[] _lengths;
    private readonly string?[] _problems;

    private PublishedFeatures(string[] files, int[] lengths, string?[] problems, int width)
        => (_files, _lengths, _problems, Width) = (files, lengths, problems, width);

    /// <inheritdoc/>
    public int Count => _files.Length;

    /// <inheritdoc/>
    public int Width { get; }

    /// <summary>Looks at every file once: those that are missing or not what they should be are captions without features.</summary>
    /// <inheritdoc cref="FeatureFolder.Open"/>
    public static PublishedFeatures Open(string folder, IReadOnlyList<(string Name, int Lines)> files)
    {
        string[] paths =
            [.. files.SelectMany(file => Enumerable.Range(0, file.Lines).Select(line => Path.Combine(folder, file.Name, $"{line}.npy")))];
        var (lengths, widths, problems) = (new int[paths.Length], new int[paths.Length], new string?[paths.Length]);
        Parallel.For(0, paths.Length, i => (lengths[i], widths[i], problems[i]) = Look(paths[i]));
        int[] found = [.. widths.Where(w => w > 0).Distinct().Order()];
        return found switch
        {
            [var width] => new PublishedFeatures(paths, lengths, problems, width),
            [] => throw new NextPatchException(
                $"'{folder}' holds no features of these captions: neither {FeatureStore.Features} nor files like '{paths.FirstOrDefault()}'. Encode "
                + "the captions first ('nextpatch encode-text')."),
            _ => throw new DataFormatException(
                $"Features in '{folder}' have {string.Join(" and ", found.Take(4))} numbers per token; they come from different encoders. The first "
                + $"of {found[1]} is '{paths[Array.IndexOf(widths, found[1])]}'."),
        };
    }

    /// <inheritdoc/>
    public int Length(int caption) => _lengths[caption];

    /// <inheritdoc/>
    public string? ProblemOf(int caption) => _problems[caption];

    /// <inheritdoc/>
    public void Read(int caption, Span<float> destination)
    {
        var features = FeatureStore.ReadPublished(_files[caption]);
        if (features.Shape[1] != _lengths[caption] || features.Shape[2] != Width)
        {
            throw new DataFormatException($"'{_files[caption]}' has changed since it was opened.");
        }

        features.ToSingles().AsSpan(0, destination.Length).CopyTo(destination);
    }

    public void Dispose()
    {
    }

    private static (int Length, int Width, string? Problem) Look(string path)
    {
        try
        {
            using var file = NpyFile.Open(path);
            return file.Tensors.Values.Single() is { Shape: [1, > 0 and <= 1 << 16 and var length, > 0 and <= 1 << 20 and var width] } found
                && Core.Tensors.ElementTypes.IsFloating(found.Type)
                ? ((int)length, (int)width, null)
                : (0, 0, "features of another shape or type");
        }
        catch (DataFormatException)
        {
            return (0, 0, "features that are damaged");
        }
        catch (NextPatchException)
        {
            return (0, 0, File.Exists(path) ? "features that cannot be read" : "no features");
        }
    }
}
