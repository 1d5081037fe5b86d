using System.Text;

namespace NextPatch.Cli.Rendering;

/// <summary>Text in lines of a given width.</summary>
internal static class TextWrap
{
    private const int ContinuationIndent = 6;

    /// <summary>Lines of at most so many characters, broken at spaces; longer words stay whole, because people copy paths.</summary>
    public static IEnumerable<string> Words(string text, int width)
    {
        var line = new StringBuilder();
        var space = text.Contains("  ", StringComparison.Ordinal) ? "  " : " "; // figures with two between them stay beside their names
        foreach (var word in text.Split(space, StringSplitOptions.RemoveEmptyEntries))
        {
            if (line.Length > 0 && line.Length + space.Length + word.Length > width)
            {
                yield return line.ToString();
                line.Clear();
            }

            line.Append(line.Length > 0 ? space : "").Append(word);
        }

        if (line.Length > 0)
        {
            yield return line.ToString();
        }
    }

    /// <summary>Lines that begin at the margin flow into each other; indented ones, examples, stay and are continued as a shell does it.</summary>
    public static IEnumerable<string> Paragraphs(string text, int width)
    {
        var flowing = new List<string>();
        foreach (var line in (string?[])[.. text.ReplaceLineEndings("\n").Split('\n'), null])
        {
            if (line is [not ' ', ..] && (flowing.Count > 0 || line[^1] != ':'))
            {
                flowing.Add(line);
                continue;
            }

            foreach (var done in Words(string.Join(' ', flowing), width))
            {
                yield return done;
            }

            flowing.Clear();
            foreach (var part in line is null ? [] : line.Length <= width ? [line] : Indented(line, width))
            {
                yield return part;
            }
        }
    }

    /// <summary>A command that is too long goes on behind a backslash, an option and its value on one line.</summary>
    private static IEnumerable<string> Indented(string line, int width)
    {
        var (start, current) = (line.Length - line.TrimStart().Length, "");
        var text = line.TrimStart();
        if (!text.StartsWith("nextpatch ", StringComparison.Ordinal) && !text.Contains(" nextpatch ", StringComparison.Ordinal) && text[0] != '-')
        {
            foreach (var part in Words(text, width - start))
            {
                yield return new string(' ', start) + part;
            }

            yield break;
        }

        foreach (var part in line.Trim().Replace(" -", "\n-", StringComparison.Ordinal).Split('\n'))
        {
            var indent = current.Length == 0 ? start : 0;
            if (current.Length > 0 && current.Length + 1 + part.Length + 2 > width)
            {
                yield return current + " \\";
                current = new string(' ', ContinuationIndent) + part;
            }
            else
            {
                current += (current.Length > 0 ? " " : new string(' ', indent)) + part;
            }
        }

        yield return current;
    }
}
