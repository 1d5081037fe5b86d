using System.Globalization;
using System.Text;

namespace NextPatch.Text.Captions;

/// <summary>What Python's library does to strings where .NET's does something else.</summary>
internal static class PythonText
{
    /// <summary><c>str.strip()</c>.</summary>
    public static string Strip(string text)
    {
        var (first, end) = (0, text.Length);
        while (first < end && IsBlank(text[first]))
        {
            first++;
        }

        while (end > first && IsBlank(text[end - 1]))
        {
            end--;
        }

        return text[first..end];
    }

    /// <summary><c>urllib.parse.unquote_plus</c>: plus signs become blanks, %XX bytes of UTF-8; what is no text becomes U+FFFD.</summary>
    public static string Unquote(string text)
    {
        text = text.Replace('+', ' ');
        if (!text.Contains('%', StringComparison.Ordinal))
        {
            return text;
        }

        var (result, bytes) = (new StringBuilder(text.Length), new List<byte>());
        for (var i = 0; i < text.Length; i++)
        {
            if (text[i] == '%' && i + 2 < text.Length
                && byte.TryParse(text.AsSpan(i + 1, 2), NumberStyles.AllowHexSpecifier, CultureInfo.InvariantCulture, out var value))
            {
                bytes.Add(value);
                i += 2;
                continue;
            }

            Flush();
            result.Append(text[i]);
        }

        Flush();
        return result.ToString();

        void Flush()
        {
            result.Append(Encoding.UTF8.GetString([.. bytes]));
            bytes.Clear();
        }
    }

    /// <summary><c>str.isspace()</c>: .NET leaves four separators out.</summary>
    private static bool IsBlank(char c) => char.IsWhiteSpace(c) || c is >= '\x1c' and <= '\x1f';
}
