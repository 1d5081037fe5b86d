using System.Globalization;
using System.Net;
using System.Text;
using System.Text.RegularExpressions;

namespace NextPatch.Text.Captions;

/// <summary>
/// The text of a caption without its tags, comments, scripts and styles, entities as their characters, as <c>BeautifulSoup(text,
/// "html.parser").text</c>
/// gives it. A caption that is no HTML comes back as it is, down to a lone '&lt;' and an ampersand.
/// </summary>
internal static partial class HtmlText
{
    private static readonly string[] Hidden = ["script", "style", "template"];

    public static string From(string text)
    {
        if (text.AsSpan().IndexOfAny('<', '&') < 0)
        {
            return text;
        }

        var result = new StringBuilder(text.Length);
        for (var at = 0; at < text.Length;)
        {
            var next = text.AsSpan(at).IndexOfAny('<', '&');
            var plain = next < 0 ? text.Length : at + next;
            result.Append(text, at, plain - at);
            at = plain == text.Length ? plain : text[plain] == '<' ? Markup(text, plain, result) : Entity(text, plain, result);
        }

        return result.ToString();
    }

    /// <returns>Where the text goes on.</returns>
    private static int Markup(string text, int at, StringBuilder result)
    {
        var rest = text.AsSpan(at);
        if (rest.Length > 1 && char.IsAsciiLetter(rest[1]))
        {
            return StartTag(text, at, result);
        }

        // Of a declaration that never ends everything up to the next sign of markup is text.
        (string Start, string End)[] kinds = [("<!--", "-->"), ("<![CDATA[", "]]>"), ("</", ">"), ("<?", ">"), ("<!", ">")];
        foreach (var (start, end) in kinds)
        {
            if (rest.StartsWith(start, StringComparison.OrdinalIgnoreCase))
            {
                var found = text.IndexOf(end, at + start.Length, StringComparison.Ordinal);
                if (found < 0)
                {
                    return AsText(text, at, result);
                }

                result.Append(start == "<![CDATA[" ? text[(at + start.Length)..found] : "");
                return found + end.Length;
            }
        }

        result.Append('<');
        return at + 1;
    }

    private static int StartTag(string text, int at, StringBuilder result)
    {
        var tag = Tag().Match(text, at);
        if (!tag.Success)
        {
            return AsText(text, at, result);
        }

        var (name, end) = (tag.Groups["name"].Value, at + tag.Length);
        if (tag.Value.EndsWith("/>", StringComparison.Ordinal) || !Hidden.Contains(name, StringComparer.OrdinalIgnoreCase))
        {
            return end;
        }

        // The parser gives out what follows a script only when it has seen its end.
        var close = text.IndexOf("</" + name, end, StringComparison.OrdinalIgnoreCase);
        var closed = close < 0 ? -1 : text.IndexOf('>', close);
        return closed < 0 ? text.Length : closed + 1;
    }

    private static int AsText(string text, int at, StringBuilder result)
    {
        var end = text.IndexOf('>', at + 1);
        end = end >= 0 ? end + 1 : text.IndexOf('<', at + 1) is var next and >= 0 ? next : at + 1;
        result.Append(text, at, end - at);
        return end;
    }

    private static int Entity(string text, int at, StringBuilder result)
    {
        var entity = Reference().Match(text, at);
        if (!entity.Success)
        {
            // The parser loses the ampersand where one letter follows it and nothing else.
            result.Append(at + 2 == text.Length && char.IsAsciiLetter(text[at + 1]) ? "" : "&");
            return at + 1;
        }

        var name = entity.Groups["name"].Value;
        if (entity.Groups["number"] is { Success: true, Value: var number })
        {
            result.Append(Character(number));
        }
        else
        {
            var decoded = WebUtility.HtmlDecode($"&{name};");
            result.Append(decoded.EndsWith(';') ? "&" + name : decoded);
        }

        // A terminator other than ';' stays.
        return at + entity.Length + (text[at + entity.Length] == ';' ? 1 : 0);
    }

    /// <summary>Numbers below 256 are bytes of Windows' encoding, others code points.</summary>
    private static string Character(string number)
    {
        const string Windows = "€\x81‚ƒ„…†‡ˆ‰Š‹Œ\x8dŽ\x8f\x90‘’“”•–—˜™š›œ\x9džŸ";
        var isHex = number[0] is 'x' or 'X';
        return !int.TryParse(
            isHex ? number.AsSpan(1) : number, isHex ? NumberStyles.AllowHexSpecifier : NumberStyles.None, CultureInfo.InvariantCulture, out var code)
            || code is < 0 or > 0x10FFFF || char.IsSurrogate((char)Math.Min(code, 0xFFFF))
            ? "\uFFFD"
            : code is >= 0x80 and < 0xA0 ? Windows[code - 0x80].ToString() : char.ConvertFromUtf32(code);
    }

    // Both need a character behind them: the parser waits for more, and at the end takes what is left as text.
    [GeneratedRegex("""\G&(?:#(?<number>[0-9]+|[xX][0-9a-fA-F]+)(?=[^0-9a-fA-F])|(?<name>[a-zA-Z][-.a-zA-Z0-9]*)(?=[^a-zA-Z0-9]))""")]
    private static partial Regex Reference();

    [GeneratedRegex("""\G<(?<name>[a-zA-Z][^\t\n\r\f />\x00]*)(?:[^>"']|"[^"]*"|'[^']*')*>""")]
    private static partial Regex Tag();
}
