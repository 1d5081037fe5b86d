using System.Text;
using NextPatch.Core;
using NextPatch.Core.Files;
using NextPatch.Core.Tensors;

namespace NextPatch.Data.Sources;

/// <summary>
/// Comma-separated values with a header line, fields in double quotes where need be (RFC 4180). Line breaks inside fields are not read.
/// </summary>
internal static class CsvLines
{
    /// <exception cref="DataFormatException">A line has another number of fields than the header or a quote without an end, or two columns have
    /// one name.</exception>
    public static IEnumerable<(int Line, Dictionary<string, string> Fields)> Read(string path)
    {
        string[]? header = null;
        foreach (var (line, text) in TextFile.ReadLines(path))
        {
            if (text.Length == 0)
            {
                continue;
            }

            var fields = Split(text) ?? throw new DataFormatException(
                $"'{path}', line {line}: a double quote without its end; fields that go over several lines are not read.");
            if (header is null)
            {
                header = Array.ConvertAll(fields, field => field.Trim());
                if (header.GroupBy(name => name, StringComparer.OrdinalIgnoreCase).FirstOrDefault(g => g.Count() > 1) is { Key: var twice })
                {
                    throw new DataFormatException($"'{path}': two columns are called {StoredFile.Quote(twice)}; which one is meant?");
                }

                continue;
            }

            if (fields.Length != header.Length)
            {
                throw new DataFormatException($"'{path}', line {line}: {fields.Length} fields, but the header has {header.Length}.");
            }

            var named = new Dictionary<string, string>(StringComparer.OrdinalIgnoreCase);
            for (var i = 0; i < fields.Length; i++)
            {
                named[header[i]] = fields[i];
            }

            yield return (line, named);
        }
    }

    /// <returns>Null where a quote has no end.</returns>
    private static string[]? Split(string line)
    {
        var (fields, field, isQuoted) = (new List<string>(), new StringBuilder(), false);
        for (var i = 0; i < line.Length; i++)
        {
            var c = line[i];
            if (c == '"' && isQuoted && i + 1 < line.Length && line[i + 1] == '"')
            {
                field.Append('"');
                i++;
            }
            else if (c == '"')
            {
                isQuoted = !isQuoted;
            }
            else if (c == ',' && !isQuoted)
            {
                fields.Add(field.ToString());
                field.Clear();
            }
            else
            {
                field.Append(c);
            }
        }

        return isQuoted ? null : [.. fields, field.ToString()];
    }
}
