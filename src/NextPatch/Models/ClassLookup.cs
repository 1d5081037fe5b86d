using System.Globalization;
using NextPatch.Core;

namespace NextPatch.Models;

/// <summary>Finds a class by number or by text. A name may list synonyms, separated by commas.</summary>
internal sealed class ClassLookup
{
    private const int MaxListed = 20;
    private const int MaxSuggestions = 5;
    private const int MaxShown = 100; // characters of an unknown name; longer ones are no misspelt class either

    private readonly IReadOnlyList<string> _names;
    private readonly int _count;
    private readonly List<(string Synonym, int Label)> _synonyms;

    /// <param name="names">Names by label; may be fewer than classes.</param>
    /// <param name="count">Number of classes.</param>
    public ClassLookup(IReadOnlyList<string> names, int count)
    {
        _names = names;
        _count = count;
        _synonyms =
        [
            .. names.SelectMany((name, label) => new[] { name, ImageNetClasses.NameOf(name) }.Distinct()
                .SelectMany(known => known.Split(',', StringSplitOptions.TrimEntries)).Select(synonym => (synonym, label))),
        ];
    }

    /// <summary>The first synonym of a name.</summary>
    public static string ShortName(string name) => name.Split(',')[0].Trim();

    /// <summary>A class by its name, one of its synonyms, its number, or the beginning of a synonym; case does not matter.</summary>
    /// <exception cref="ConfigException">No class or more than one is meant.</exception>
    public int Find(string text)
    {
        // Names first: digits are classes whose names are numbers.
        var exact = Enumerable.Range(0, _names.Count).Where(label => Same(_names[label], text)).ToList();
        if (exact.Count == 0)
        {
            exact = Labels(synonym => Same(synonym, text));
        }

        if (exact.Count == 0 && int.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out var number))
        {
            return number < _count ? number : throw Unknown(text, []);
        }

        var found = exact.Count > 0 ? exact : Labels(synonym => synonym.StartsWith(text, StringComparison.OrdinalIgnoreCase));
        return found switch
        {
            [var label] => label,
            [] => throw Unknown(text, Similar(text)),
            _ => throw new ConfigException($"'{text}' may be {Listed(found)}; give the number or more of the name."),
        };
    }

    private static bool Same(string a, string b) => string.Equals(a, b, StringComparison.OrdinalIgnoreCase);

    private List<int> Labels(Func<string, bool> matches) => [.. _synonyms.Where(s => matches(s.Synonym)).Select(s => s.Label).Distinct()];

    private ConfigException Unknown(string text, List<int> similar)
    {
        var known = _names.Count is > 0 and <= MaxListed ? $" or {string.Join(", ", _names)}" : "";
        return new ConfigException(
            $"The model has no class '{(text.Length > MaxShown ? text[..MaxShown] + "..." : text)}'. Classes: 0 to "
            + $"{_count - 1}{known}.{(similar.Count > 0 && known.Length == 0 ? $" Did you mean {Listed(similar)}?" : "")}");
    }

    private string Listed(List<int> labels)
        => string.Join(", ", labels.Take(MaxSuggestions).Select(label => $"{label} ({_names[label]})"))
            + (labels.Count > MaxSuggestions ? $" or one of {labels.Count - MaxSuggestions} others" : "");

    /// <summary>The few classes whose names contain the text, or have a word that is spelled almost like it, nearest first.</summary>
    private List<int> Similar(string text)
    {
        if (text.Length > MaxShown)
        {
            return []; // distances to all names of a text of any length would take seconds
        }

        var most = Math.Max(1, text.Length / 3);
        return [.. _synonyms
            .Select(s => (s.Label, Distance: s.Synonym.Contains(text, StringComparison.OrdinalIgnoreCase)
                ? 0
                : s.Synonym.Split(' ').Append(s.Synonym).Min(part => EditDistance.Between(part, text))))
            .Where(s => s.Distance <= most)
            .OrderBy(s => s.Distance)
            .Select(s => s.Label)
            .Distinct()
            .Take(MaxSuggestions)];
    }
}
