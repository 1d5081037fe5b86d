using System.Globalization;
using NextPatch.Core.Imaging;
using NextPatch.Data.Imaging;
using NextPatch.Models;

namespace NextPatch.Sampling;

/// <summary>The first images of each class, one labelled row per class.</summary>
internal sealed class SampleSheet
{
    private const int MaxRows = 40;
    private const int MaxColumns = 10;
    private const int PixelsPerImage = 64;
    private const int LongestName = 40;

    private readonly IReadOnlyList<string> _classNames;
    private readonly SortedDictionary<int, List<RgbImage>> _rows = [];

    /// <param name="classNames">Names by label; may be empty.</param>
    public SampleSheet(IReadOnlyList<string> classNames) => _classNames = classNames;

    /// <summary>The name of a class without its further synonyms, or its number where it has none.</summary>
    public static string NameOf(int label, IReadOnlyList<string> classNames)
        => label < classNames.Count ? ClassLookup.ShortName(ImageNetClasses.NameOf(classNames[label])) : label.ToString(CultureInfo.InvariantCulture);

    /// <summary>Keeps the image if its row has room.</summary>
    public void Add(int label, RgbImage image)
    {
        if (!_rows.TryGetValue(label, out var row))
        {
            if (_rows.Count == MaxRows)
            {
                return;
            }

            _rows[label] = row = [];
        }

        if (row.Count < MaxColumns)
        {
            row.Add(image);
        }
    }

    /// <summary>The sheet; rows are as long as the longest, missing images are black.</summary>
    public RgbImage Compose()
    {
        var columns = _rows.Values.Max(row => row.Count);
        var first = _rows.Values.First()[0];
        var blank = new RgbImage(first.Width, first.Height);
        return ImageGrid.Compose(
            [.. _rows.Values.SelectMany(row => row.Concat(Enumerable.Repeat(blank, columns - row.Count)))],
            columns,
            Math.Max(1, PixelsPerImage / first.Width),
            [.. _rows.Keys.Select(label => NameOf(label, _classNames)).Select(name => name.Length > LongestName ? name[..LongestName] : name)]);
    }
}
