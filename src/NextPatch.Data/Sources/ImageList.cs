using System.Globalization;
using System.Text.Json;
using NextPatch.Core;
using NextPatch.Core.Files;
using NextPatch.Core.Tensors;
using NextPatch.Data.Containers;
using NextPatch.Data.Imaging;

namespace NextPatch.Data.Sources;

/// <summary>A list of image files: CSV with a header line, or one JSON object per line. Paths are relative to the list's folder.</summary>
internal sealed class ImageList : IFileSet
{
    public const int MaxClasses = 1 << 20;

    private readonly string _folder;

    private ImageList(string folder, string[] paths) => (_folder, Paths) = (folder, paths);

    public IReadOnlyList<string> Paths { get; }

    public IReadOnlyCollection<string> Folders => [];

    /// <summary>Reads the list; the images are looked for when they are decoded.</summary>
    /// <remarks>Labels that are all whole numbers are taken as they are; others become classes in ordinal order, unless one of them is a number of
    /// another kind: 1.0, -1 and 1_000 are not taken for names. Without labels there is one class.</remarks>
    /// <exception cref="DataFormatException">A line is not understood; names it.</exception>
    public static ImageFiles Open(string path, string name)
    {
        var isCsv = FileContents.From(path) != FileContent.Json; // whatever its name ends in
        var rows = (isCsv ? CsvLines.Read(path).Select(r => Pick(r.Fields, path, r.Line)) : ReadJsonLines(path)).ToArray();
        if (rows.Length == 0)
        {
            throw new NextPatchException($"'{path}' lists no images.");
        }

        if (rows.Select(r => r.Label is null).Distinct().Count() > 1)
        {
            throw new DataFormatException($"'{path}' gives labels to some images and not to others; give one to each, or to none.");
        }

        var (classNames, labels) = Classes(path, rows.Select(r => r.Label), name);
        var list = new ImageList(Path.GetDirectoryName(Path.GetFullPath(path))!, [.. rows.Select(r => r.Path)]);
        return new ImageFiles(list, [.. labels.Select((label, i) => (i, label))])
        {
            Name = name, Layout = isCsv ? "CSV list" : "JSON lines list", ClassNames = classNames,
        };
    }

    public string Describe(int file) => Path.Combine(_folder, Paths[file]);

    public byte[] Read(int file) => ImageDecoder.ReadFile(Describe(file));

    public void Dispose()
    {
    }

    private static (string[] Names, int[] Labels) Classes(string path, IEnumerable<string?> given, string name)
    {
        var texts = given.Select(l => l ?? name).ToArray();
        var numbers = Array.ConvertAll(texts, t => int.TryParse(t, NumberStyles.None, CultureInfo.InvariantCulture, out var n) ? n : -1);
        if (numbers.All(n => n >= 0))
        {
            var count = (long)numbers.Max() + 1;
            return count <= MaxClasses
                ? ([.. Enumerable.Range(0, (int)count).Select(k => k.ToString(CultureInfo.InvariantCulture))], numbers)
                : throw new DataFormatException($"'{path}' has the label {count - 1}; labels go from 0 to {MaxClasses - 1}.");
        }

        if (Array.FindIndex(texts, LooksLikeNumber) is var odd and >= 0 && texts.All(t => LooksLikeNumber(t) || IsWhole(t)))
        {
            throw new DataFormatException(
                $"'{path}' has the label {StoredFile.Quote(texts[odd])} (image {odd + 1}): labels are whole numbers from 0 on, without sign, point "
                    + $"or "
                + $"separators, or names.");
        }

        var names = texts.Distinct().Order(StringComparer.Ordinal).ToArray();
        var places = names.Index().ToDictionary(n => n.Item, n => n.Index, StringComparer.Ordinal);
        return (names, Array.ConvertAll(texts, t => places[t]));
    }

    private static bool IsWhole(string text) => int.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out _);

    /// <summary>A number, but none that a label can be: with a sign, a fraction, an exponent or separators.</summary>
    private static bool LooksLikeNumber(string text)
        => !IsWhole(text) && text.Any(char.IsAsciiDigit) && text.All(c => char.IsAsciiDigit(c) || "+-.,_ eE".Contains(c, StringComparison.Ordinal));

    private static (string Path, string? Label) Pick(IReadOnlyDictionary<string, string> fields, string path, int line)
    {
        var image = ListColumns.Images.Select(n => fields.GetValueOrDefault(n)).FirstOrDefault(v => !string.IsNullOrEmpty(v));
        return image is null || image.Contains('\0')
            ? throw new DataFormatException(
                $"'{path}', line {line}: no image named; expected a column or key called {string.Join(", ", ListColumns.Images)}.")
            : (image, ListColumns.Labels.Select(n => fields.GetValueOrDefault(n)).FirstOrDefault(v => !string.IsNullOrEmpty(v)));
    }

    private static IEnumerable<(string Path, string? Label)> ReadJsonLines(string path)
    {
        foreach (var (line, text) in TextFile.ReadLines(path))
        {
            if (!string.IsNullOrWhiteSpace(text))
            {
                yield return Pick(JsonFields(text, path, line), path, line);
            }
        }
    }

    private static Dictionary<string, string> JsonFields(string text, string path, int line)
    {
        try
        {
            using var document = JsonDocument.Parse(text);
            var fields = new Dictionary<string, string>(StringComparer.OrdinalIgnoreCase);
            foreach (var member in document.RootElement.EnumerateObject())
            {
                var isMeant = ListColumns.Images.Concat(ListColumns.Labels).Contains(member.Name, StringComparer.OrdinalIgnoreCase);
                if (isMeant && member.Value.ValueKind is not (JsonValueKind.String or JsonValueKind.Number or JsonValueKind.Null))
                {
                    throw new DataFormatException($"'{path}', line {line}: '{member.Name}' is {member.Value.ValueKind}; expected text or a number.");
                }

                if (isMeant && member.Value.ValueKind != JsonValueKind.Null && !fields.TryAdd(member.Name, member.Value.ToString()))
                {
                    throw new DataFormatException($"'{path}', line {line}: '{member.Name}' is there twice.");
                }
            }

            return fields;
        }
        catch (Exception e) when (e is JsonException or InvalidOperationException)
        {
            throw new DataFormatException($"'{path}', line {line}: not a JSON object: {e.Message}", e);
        }
    }
}
