using NextPatch.Core.Imaging;
using NextPatch.Data.Datasets;
using NextPatch.Data.Sources;
using NextPatch.Evaluation.Protocol;

namespace NextPatch.Evaluation.Clip;

/// <summary>Images of any size in the order of their prompts.</summary>
internal sealed class ClipImageList : IDisposable
{
    private readonly IDisposable _opened;
    private readonly ImageSource? _files;
    private readonly ImageSet? _arrays;

    private ClipImageList(IDisposable opened, ImageSource? files, ImageSet? arrays)
        => (_opened, _files, _arrays, Count) = (opened, files, arrays, files?.Count ?? arrays!.Count);

    public int Count { get; }

    /// <exception cref="Core.NextPatchException">Missing, or no images.</exception>
    public static ClipImageList Open(string path, CancellationToken cancellation)
    {
        var isArray = path.EndsWith(".npz", StringComparison.OrdinalIgnoreCase) || File.Exists(Path.Combine(path, "samples.npz"));
        if (isArray)
        {
            var set = ImageSetOpener.Open(path, part: null, side: null, drawing: null, cancellation);
            return new ClipImageList(set, null, set);
        }

        var parts = DatasetReader.OpenParts(path, cancellation);
        return new ClipImageList(parts, parts.Train, null);
    }

    /// <summary>Batches of what makes the images, which may be called from several threads.</summary>
    /// <param name="most">Images of a batch of files.</param>
    public IEnumerable<IReadOnlyList<Func<RgbImage>>> Read(int most)
    {
        if (_files is not null)
        {
            var order = Enumerable.Range(0, Count).OrderBy(i => _files.PathOf(i), Comparer<string>.Create(Natural));
            return order.Select(i => (Func<RgbImage>)(() => _files.Decode(i))).Chunk(most);
        }

        return _arrays!.Read().Select(batch => (IReadOnlyList<Func<RgbImage>>)[.. Enumerable.Range(0, batch.Count).Select(
            i => (Func<RgbImage>)(() => new RgbImage(batch.Width, batch.Height, batch.Pixels[(i * Size(batch))..((i + 1) * Size(batch))])))]);
    }

    public void Dispose() => _opened.Dispose();

    /// <summary>Digits as numbers, all else by code: 2.png before 10.png.</summary>
    internal static int Natural(string a, string b)
    {
        var (i, j) = (0, 0);
        while (i < a.Length && j < b.Length)
        {
            var (x, y) = (Run(a, i), Run(b, j));
            var order = char.IsAsciiDigit(a[i]) && char.IsAsciiDigit(b[j])
                ? Number(a, i, x) is var m && Number(b, j, y) is var n && m.Length != n.Length
                    ? m.Length.CompareTo(n.Length)
                    : string.CompareOrdinal(m, n)
                : a[i].CompareTo(b[j]);
            if (order != 0)
            {
                return order;
            }

            (i, j) = char.IsAsciiDigit(a[i]) && char.IsAsciiDigit(b[j]) ? (x, y) : (i + 1, j + 1);
        }

        return (a.Length - i).CompareTo(b.Length - j);
    }

    private static string Number(string text, int start, int end) => text[start..end].TrimStart('0');

    private static int Run(string text, int start)
    {
        while (start < text.Length && char.IsAsciiDigit(text[start]))
        {
            start++;
        }

        return start;
    }

    private static int Size(ImageBatch batch) => batch.Width * batch.Height * 3;
}
