using System.Text.RegularExpressions;

namespace NextPatch.Text.Captions;

/// <summary>
/// The cleaning that published captions went through before T5 saw them: links, tags, file names, odd punctuation and most codes go, the rest is
/// lower case. Features of captions that were cleaned otherwise are other features.
/// </summary>
/// <remarks>
/// Source: <c>language/t5.py</c> of LlamaGen (DeepFloyd's rules), applied twice. Word characters, blanks and word boundaries are Python's. Not done,
/// because captions hardly hold it: repair of text that was decoded wrongly (ftfy), Unicode composition, HTML 5's longer entity names; letters
/// beyond the first 65,536 characters count as no letters. Captions are cut at <see cref="MostCharacters"/>, as some rules cost its square.
/// </remarks>
internal static class CaptionCleaner
{
    /// <summary>Characters of a caption that are looked at: ten times what 120 tokens hold.</summary>
    public const int MostCharacters = 8192;

    private const string FileTypes = "(?:png|jpg|jpeg|bmp|webp|eps|pdf|apk|mp4)";
    private const string Domain = @"[a-zA-Z0-9.\-]+[.](?:com|co|ru|net|org|edu|gov|it)[\w/-]*\b/?(?!@)";

    private static readonly (Regex Pattern, string Replacement)[] BeforeMarkup = Rules(
        ("<person>", "person"),
        ($@"\b(?:https?:(?:/{{1,3}}|[a-zA-Z0-9%])|{Domain})", ""),
        ($@"\b(?:www:(?:/{{1,3}}|[a-zA-Z0-9%])|{Domain})", ""));

    private static readonly (Regex Pattern, string Replacement)[] AfterMarkup = Rules(
        (@"@[\w\d]+\b", ""),
        ("[\u31C0-\u31EF]+|[\u31F0-\u31FF]+|[\u3200-\u32FF]+|[\u3300-\u33FF]+|[\u3400-\u4DBF]+|[\u4DC0-\u4DFF]+|[\u4E00-\u9FFF]+", ""),
        ("[\u002D\u058A\u05BE\u1400\u1806\u2010-\u2015\u2E17\u2E1A\u2E3A\u2E3B\u2E40\u301C\u3030\u30A0\uFE31\uFE32\uFE58\uFE63\uFF0D]+", "-"),
        ("[`´«»“”¨]", "\""),
        ("[‘’]", "'"),
        ("&quot;?", ""),
        ("&amp", ""),
        (@"\d{1,3}\.\d{1,3}\.\d{1,3}\.\d{1,3}", " "),
        (@"\d:\d\d\s+$", ""),
        (@"\\n", " "),
        (@"#\d{1,3}\b", ""),
        (@"#\d{5,}\b", ""),
        (@"\b\d{6,}\b", ""),
        ($@"\S+\.{FileTypes}", ""),
        ("[\"']{2,}", "\""),
        (@"\.{2,}", " "),
        (@"[#®•©™&@·º½¾¿¡§~)(\][}{|\\/*]+", " "),
        (@"\s+\.\s+", " "));

    private static readonly (Regex Pattern, string Replacement)[] AfterRepair = Rules(
        (@"\b[a-zA-Z]{1,3}\d{3,15}\b", ""),
        (@"\b[a-zA-Z]+\d+[a-zA-Z]+\b", ""),
        (@"\b\d+[a-zA-Z]+\d+\b", ""),
        (@"(worldwide\s+)?(free\s+)?shipping", ""),
        (@"(free\s)?download(\sfree)?", ""),
        (@"\bclick\b\s(?:for|on)\s\w+", ""),
        ($@"\b{FileTypes}(\simage[s]?)?", ""),
        (@"\bpage\s+\d+\b", ""),
        (@"\b\d*[a-zA-Z]+\d+[a-zA-Z]+\d+[a-zA-Z\d]*\b", " "),
        (@"\b\d+\.?\d*[xх×]\d+\.?\d*\b", ""),
        (@"\b\s+:\s+", ": "),
        (@"(\D[,./])\b", "$1 "),
        (@"\s+", " "),
        ("^[\"']((?s:.)+)[\"']$", "$1"),
        (@"^['_,\-:;]", ""),
        (@"['_,\-:+]$", ""),
        (@"^\.\S+$", ""));

    private static readonly Regex Hyphens = Rule("[-_]");

    /// <summary>The published cleaning, whole.</summary>
    /// <param name="caption">Any text.</param>
    /// <returns>May be empty.</returns>
    public static string Clean(string caption) => Once(Once(caption.Length <= MostCharacters ? caption : caption[..MostCharacters]));

    private static string Once(string text)
    {
        text = Apply(BeforeMarkup, PythonText.Strip(PythonText.Unquote(text)).ToLowerInvariant());
        text = Apply(AfterMarkup, HtmlText.From(text));
        if (Hyphens.Count(text) > 3)
        {
            text = Hyphens.Replace(text, " ");
        }

        return PythonText.Strip(Apply(AfterRepair, PythonText.Strip(TextRepair.Apply(text))));
    }

    private static string Apply((Regex Pattern, string Replacement)[] rules, string text)
        => rules.Aggregate(text, (current, rule) => rule.Pattern.Replace(current, rule.Replacement));

    private static (Regex Pattern, string Replacement)[] Rules(params ReadOnlySpan<(string Pattern, string Replacement)> rules)
    {
        var made = new (Regex, string)[rules.Length];
        for (var i = 0; i < rules.Length; i++)
        {
            made[i] = (Rule(rules[i].Pattern), rules[i].Replacement);
        }

        return made;
    }

    /// <summary>
    /// A pattern as Python reads it: to .NET marks that combine are word characters and numerals such as '½' are none, and its blanks lack four.
    /// </summary>
    private static Regex Rule(string pattern)
    {
        const string Word = @"\p{L}\p{N}_", Blank = @"\f\n\r\t\v\x85\p{Z}\x1c-\x1f";
        return new Regex(
            pattern.Replace(@"\S", $"[^{Blank}]", StringComparison.Ordinal)
                .Replace(@"\s", $"[{Blank}]", StringComparison.Ordinal)
                .Replace(@"[\w", $"[{Word}", StringComparison.Ordinal)
                .Replace(@"\w", $"[{Word}]", StringComparison.Ordinal)
                .Replace(@"\b", $"(?:(?<=[{Word}])(?![{Word}])|(?<![{Word}])(?=[{Word}]))", StringComparison.Ordinal),
            RegexOptions.CultureInvariant);
    }
}
