using System.Text;

namespace NextPatch.Text.Captions;

/// <summary>Those repairs of <c>ftfy.fix_text</c> that a caption in lower case can need: ligatures, wide letters, curled quotes, controls.</summary>
internal static class TextRepair
{
    private static readonly string[] Ligatures = ["ff", "fi", "fl", "ffi", "ffl", "st", "st"]; // from U+FB00

    public static string Apply(string text)
    {
        if (text.All(c => c is >= ' ' and < '\x7f'))
        {
            return text;
        }

        var result = new StringBuilder(text.Length);
        for (var i = 0; i < text.Length; i++)
        {
            var c = text[i];
            switch (c)
            {
                case '\t' or '\n':
                    result.Append(c);
                    break;
                case '\r':
                    if (i + 1 == text.Length || text[i + 1] != '\n')
                    {
                        result.Append('\n');
                    }

                    break;
                case '\u2028' or '\u2029' or '\x85':
                    result.Append('\n');
                    break;
                case < ' ' or '\x7f' or '\uFEFF' or (>= '\u206A' and <= '\u206F') or (>= '\uFFF9' and <= '\uFFFC'):
                    break;
                case >= '\uFB00' and <= '\uFB06':
                    result.Append(Ligatures[c - '\uFB00']);
                    break;
                case '\u3000':
                    result.Append(' ');
                    break;
                case >= '\uFF01' and <= '\uFF5E':
                    result.Append((char)(c - '\uFF01' + '!'));
                    break;
                case >= '\u2018' and <= '\u201B' or '\u02BC':
                    result.Append('\'');
                    break;
                case >= '\u201C' and <= '\u201F':
                    result.Append('"');
                    break;
                case var _ when char.IsHighSurrogate(c) && i + 1 < text.Length && char.IsLowSurrogate(text[i + 1]):
                    result.Append(c).Append(text[++i]);
                    break;
                case var _ when char.IsSurrogate(c):
                    result.Append('\uFFFD');
                    break;
                default:
                    result.Append(c);
                    break;
            }
        }

        return result.ToString();
    }
}
