using System.Globalization;

namespace NextPatch.Core;

/// <summary>
/// Numbers as people write them for programs, the same in every language: digits, a sign, of a fraction a point and an exponent. No separators of
/// groups, no spaces, nothing that is not finite.
/// </summary>
internal static class StrictNumber
{
    private const NumberStyles Whole = NumberStyles.AllowLeadingSign;
    private const NumberStyles Fraction = Whole | NumberStyles.AllowDecimalPoint | NumberStyles.AllowExponent;

    public static bool TryParse(ReadOnlySpan<char> text, out int value) => int.TryParse(text, Whole, CultureInfo.InvariantCulture, out value);

    public static bool TryParse(ReadOnlySpan<char> text, out long value) => long.TryParse(text, Whole, CultureInfo.InvariantCulture, out value);

    public static bool TryParse(ReadOnlySpan<char> text, out double value)
        => double.TryParse(text, Fraction, CultureInfo.InvariantCulture, out value) && double.IsFinite(value);

    /// <summary>What is wrong with a text that is no such number, as the end of a sentence: "is not a whole number: …".</summary>
    public static string Problem(string text, bool isWhole)
    {
        var kind = isWhole ? "a whole number" : "a number";
        var bare = string.Concat(text.Where(c => c is not ('_' or ' ' or '\'' or '\u00a0' or '\u202f')));
        var hasComma = bare.Count(c => c == ',') == 1 && !bare.Contains('.', StringComparison.Ordinal);
        if (Reads(text))
        {
            return isWhole ? $"is not {kind} of digits alone, or too large" : $"is not {kind}";
        }

        if (double.TryParse(text, NumberStyles.Any, CultureInfo.InvariantCulture, out var odd) && !double.IsFinite(odd))
        {
            return "is not a finite number";
        }

        var (point, joined) = (bare.Replace(',', '.'), bare.Replace(",", "", StringComparison.Ordinal));
        return !isWhole && hasComma && Reads(point) ? $"is not {kind}; write a point, {point}"
            : Reads(joined) ? $"is not {kind}; write it without separators, {joined}"
            : $"is not {kind}";

        static bool Reads(string text) => TryParse(text, out double _);
    }
}
