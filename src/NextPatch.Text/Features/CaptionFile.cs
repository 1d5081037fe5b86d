using System.Text;
using System.Text.Json;
using NextPatch.Core;
using NextPatch.Core.Checkpoints;
using NextPatch.Core.Files;

namespace NextPatch.Text.Features;

/// <summary>Captions of .jsonl, .csv, .tsv and .txt files, or of a folder of .jsonl files.</summary>
internal static class CaptionFile
{
    private const long MostBytes = 1L << 30;

    /// <summary>Every caption in order, also those that are none.</summary>
    /// <param name="path">File or folder.</param>
    /// <param name="index">Which one, where a line of .jsonl lists several: published files have short, long, and the long one's first
    /// sentence.</param>
    /// <exception cref="NextPatchException">Missing, unreadable, of another kind, or a table without such a column.</exception>
    public static IEnumerable<Caption> Read(string path, int index)
    {
        if (!Directory.Exists(path))
        {
            using (TextFile.Open(path)) // says at once what is wrong with it
            {
            }

            return Path.GetExtension(path).ToUpperInvariant() switch
            {
                ".JSONL" => Lines(path, line => OfJson(line, index)),
                ".CSV" or ".TSV" => OfTable(path),
                ".TXT" => Lines(path, line => (line, null, null)),
                _ => throw new NextPatchException($"'{path}' is none of .jsonl, .csv, .tsv and .txt; captions are read from these."),
            };
        }

        return FilesOf(path).SelectMany(file => Lines(file, line => OfJson(line, index)));
    }

    /// <summary>SHA-256 of a file of captions; of a folder that of its files, one after the other.</summary>
    public static string HashOf(string path, CancellationToken cancellation = default)
        => FileHash.Compute(Directory.Exists(path) ? FilesOf(path) : [path], cancellation);

    private static List<string> FilesOf(string folder)
    {
        var files = Directory.GetFiles(folder, "*.jsonl").Order(StringComparer.Ordinal).ToList();
        return files.Count > 0 ? files : throw new NextPatchException($"The folder '{folder}' holds no .jsonl file; name a file of captions.");
    }

    private static IEnumerable<Caption> Lines(string path, Func<string, (string? Text, string? Problem, string? Image)> read)
    {
        var name = Path.GetFileName(path);
        foreach (var (number, line) in TextFile.ReadLines(path))
        {
            var (text, problem, image) = string.IsNullOrWhiteSpace(line) ? (null, "blank line", null) : read(line);
            yield return new Caption(name, number - 1, text, problem) { Image = image };
        }
    }

    private static (string? Text, string? Problem, string? Image) OfJson(string line, int index)
    {
        try
        {
            using var json = JsonDocument.Parse(line);
            if (json.RootElement.ValueKind != JsonValueKind.Object)
            {
                return (null, "no JSON object", null);
            }

            string? Text(string name) => json.RootElement.TryGetProperty(name, out var text) && text.ValueKind == JsonValueKind.String
                ? text.GetString()
                : null;

            var image = ListColumns.Images.Select(Text).FirstOrDefault(path => !string.IsNullOrEmpty(path));
            foreach (var name in ListColumns.Captions)
            {
                if (json.RootElement.TryGetProperty(name, out var value))
                {
                    value = value.ValueKind != JsonValueKind.Array ? value : index < value.GetArrayLength() ? value[index] : default;
                    return value.ValueKind == JsonValueKind.String ? (value.GetString(), null, image) : (null, "no caption of that index", image);
                }
            }

            return (null, "no caption", image);
        }
        catch (Exception e) when (e is JsonException or InvalidOperationException) // the latter for text that is no UTF-16
        {
            return (null, "no JSON", null);
        }
    }

    private static IEnumerable<Caption> OfTable(string path)
    {
        var text = TextFile.Read(path, MostBytes);
        var firstLine = text.AsSpan(0, text.IndexOf('\n', StringComparison.Ordinal) is var end and >= 0 ? end : text.Length);
        var rows = Rows(text, firstLine.Contains('\t') ? '\t' : ',').GetEnumerator();
        var header = rows.MoveNext() ? rows.Current : [];
        int Find(string[] names) => header.FindIndex(name => names.Contains(name.Trim(), StringComparer.OrdinalIgnoreCase));
        var (column, imageColumn) = (Find(ListColumns.Captions), Find(ListColumns.Images));
        if (column < 0)
        {
            throw new NextPatchException(
                $"'{path}' has no column of captions: one of {string.Join(", ", ListColumns.Captions)} in its first line; it has "
                + $"{PrintableText.From(string.Join(", ", header.Take(8).Select(name => name.Length > 40 ? name[..40] + "..." : name)))}.");
        }

        return Captions();

        IEnumerable<Caption> Captions()
        {
            for (var line = 0; rows.MoveNext(); line++)
            {
                var caption = header.Count == 1 ? string.Join(',', rows.Current) : rows.Current.ElementAtOrDefault(column);
                yield return new Caption(
                    Path.GetFileName(path), line, caption, string.IsNullOrWhiteSpace(caption) ? "blank line" : null)
                {
                    Image = imageColumn < 0 ? null : rows.Current.ElementAtOrDefault(imageColumn),
                };
            }
        }
    }

    /// <summary>RFC 4180: quotes may hold separators, line ends, and quotes twice.</summary>
    private static IEnumerable<List<string>> Rows(string text, char separator)
    {
        var (row, field, isQuoted) = (new List<string>(), new StringBuilder(), false);
        for (var i = 0; i < text.Length; i++)
        {
            var c = text[i];
            if (c == '"' && (isQuoted || field.Length == 0))
            {
                if (isQuoted && i + 1 < text.Length && text[i + 1] == '"')
                {
                    field.Append(text[++i]);
                    continue;
                }

                isQuoted = !isQuoted;
            }
            else if (!isQuoted && c == separator)
            {
                row.Add(field.ToString());
                field.Clear();
            }
            else if (!isQuoted && c == '\n')
            {
                row.Add(field.ToString().TrimEnd('\r'));
                field.Clear();
                yield return row;
                row = [];
            }
            else
            {
                field.Append(c);
            }
        }

        if (field.Length > 0 || row.Count > 0)
        {
            row.Add(field.ToString().TrimEnd('\r'));
            yield return row;
        }
    }
}

/// <summary>A caption, or why there is none.</summary>
/// <param name="File">Name of its file.</param>
/// <param name="Line">Counted from 0, a table's header aside.</param>
/// <param name="Text">As it stands there.</param>
/// <param name="Problem">Null where it can be used.</param>
internal readonly record struct Caption(string File, int Line, string? Text, string? Problem)
{
    /// <summary>The image that the line names, as it stands there; null where it names none.</summary>
    public string? Image { get; init; }
}
