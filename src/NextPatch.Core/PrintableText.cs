using System.Globalization;
using System.Text;

namespace NextPatch.Core;

/// <summary>Text of unknown origin (names, metadata, paths) made harmless for terminals and logs.</summary>
internal static class PrintableText
{
    /// <summary>
    /// Control characters, and those that turn the direction of what follows, as <c>\u001b</c>, which JSON reads too; line feeds and tabs stay.
    /// </summary>
    /// <returns>The same object where nothing is to be escaped.</returns>
    public static string From(string text)
    {
        if (text.AsSpan().IndexOfAnyInRange('\0', '\u001f') < 0 && !text.Any(IsHarmful))
        {
            return text;
        }

        var escaped = new StringBuilder(text.Length + 16);
        foreach (var c in text)
        {
            _ = IsHarmful(c) ? escaped.Append(CultureInfo.InvariantCulture, $"\\u{(int)c:x4}") : escaped.Append(c);
        }

        return escaped.ToString();
    }

    /// <summary>Whether a character acts on a terminal instead of being seen.</summary>
    public static bool IsHarmful(char c)
        => (char.IsControl(c) && c is not ('\n' or '\t')) || c is (>= '\u202a' and <= '\u202e') or (>= '\u2066' and <= '\u2069')
            or '\u200e' or '\u200f' or '\u2028' or '\u2029';
}
