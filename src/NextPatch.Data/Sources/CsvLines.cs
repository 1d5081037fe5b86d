using System.Text;
using NextPatch.Core;

namespace NextPatch.Data.Sources;

/// <summary>
/// Comma-separated values with a header line, fields in double quotes where need be (RFC 4180). Line breaks inside fields are not read.
/// </summary>
internal static class CsvLines
{
    /// <exception cref="DataFormatException">A line has another number of fields than the header.</exception>
    public static IEnumerable<(int Line, Dictionary<string, string> Fields)> Read(string path)
    {
        string[]? header = null;
        foreach (var (index, text) in File.ReadLines(path).Index())
        {
            if (text.Length == 0)
            {
                continue;
            }

            var fields = Split(text);
            if (header is null)
            {
                header = fields;
                continue;
            }

            if (fields.Length != header.Length)
            {
                throw new DataFormatException($"'{path}', line {index + 1}: {fields.Length} fields, but the header has {header.Length}.");
            }

            var named = new Dictionary<string, string>(StringComparer.OrdinalIgnoreCase);
            for (var i = 0; i < fields.Length; i++)
            {
                named[header[i].Trim()] = fields[i];
            }

            yield return (index + 1, named);
        }
    }

    private static string[] Split(string line)
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

        return [.. fields, field.ToString()];
    }
}
